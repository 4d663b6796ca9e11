import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openAccess } from "./access.ts";

const folder = mkdtempSync(join(tmpdir(), "kubeconfig-"));
afterAll(() => rmSync(folder, { recursive: true }));

const CLUSTER = { server: "https://10.0.0.1:6443", "certificate-authority-data": base64("CA") };

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

interface Contents {
  readonly cluster?: object;
  readonly user?: object;
  readonly name?: string;
}

let files = 0;

function write({ cluster = CLUSTER, user = { token: "t" }, name = "here" }: Contents): string {
  const file = join(folder, `config-${(files += 1)}`);
  const config = {
    clusters: [{ name: `cluster-${name}`, cluster }],
    users: [{ name: `user-${name}`, user }],
    contexts: [{ name, context: { cluster: `cluster-${name}`, user: `user-${name}` } }],
    "current-context": name,
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

const inPod = { KUBERNETES_SERVICE_HOST: "10.1.1.1" };

describe("a kubeconfig", () => {
  test("says where the API server is, who vouches for it, and who asks", async () => {
    const kubeconfig = write({
      user: {
        "client-certificate-data": base64("CERTIFICATE"),
        "client-key-data": base64("KEY"),
      },
      cluster: { ...CLUSTER, "tls-server-name": "api" },
    });
    const access = await openAccess({ kubeconfig }, inPod);
    expect(access).toMatchObject({
      server: new URL("https://10.0.0.1:6443"),
      authority: "CA",
      serverName: "api",
      certificate: "CERTIFICATE",
      key: "KEY",
    });
    expect(await access.token()).toBeNull();
  });

  test("may name files beside it, and the token is read again", async () => {
    writeFileSync(join(folder, "token"), "first\n");
    writeFileSync(join(folder, "ca.crt"), "FROM A FILE");
    const kubeconfig = write({
      cluster: { server: "https://10.0.0.1", "certificate-authority": "ca.crt" },
      user: { tokenFile: "token", token: "old" },
    });
    const { authority, token } = await openAccess({ kubeconfig }, {});
    expect(authority).toBe("FROM A FILE");
    expect(await token()).toBe("first");
    writeFileSync(join(folder, "token"), "second");
    expect(await token()).toBe("second");
  });

  test("is found as kubectl finds it: the first of several files that says a name counts", async () => {
    const one = write({ name: "one", user: { token: "one" } });
    const two = write({ name: "two", user: { token: "two" } });
    const KUBECONFIG = `${one}:${two}`;
    expect(await (await openAccess({}, { KUBECONFIG })).token()).toBe("one");
    expect(await (await openAccess({ context: "two" }, { KUBECONFIG })).token()).toBe("two");
    await expect(openAccess({ context: "three" }, { KUBECONFIG })).rejects.toThrow(
      "the kubeconfig has no context three; there is one, two",
    );
  });

  test.each([
    [{ exec: { command: "aws" } }, "the program aws, which is not run here: give a token"],
    [{ "auth-provider": { name: "gcp" } }, "auth-provider, which is not known here"],
    [{ username: "me", password: "secret" }, "username, which is not known here"],
    [{ token: "t", as: "somebody" }, "says as, which is not known here"],
    [{ "client-certificate-data": base64("C") }, "a client-certificate without a client-key"],
  ])("that lets in by %j is refused", async (user, why) => {
    const kubeconfig = write({ user });
    const refusal = openAccess({ kubeconfig }, {});
    await expect(refusal).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await expect(refusal).rejects.toThrow(why);
  });

  test.each([
    [{ ...CLUSTER, "insecure-skip-tls-verify": true }, "say certificate-authority instead"],
    [{ ...CLUSTER, "proxy-url": "http://proxy" }, "proxy-url, which is not known here"],
    [{ server: "http://10.0.0.1" }, "a token is not sent to http://10.0.0.1 in the clear"],
    [{}, "says no server where it should"],
  ])("of a cluster %j is refused", async (cluster, why) => {
    const kubeconfig = write({ cluster });
    await expect(openAccess({ kubeconfig }, {})).rejects.toThrow(why);
  });

  test("that is none is refused", async () => {
    const file = join(folder, "none");
    writeFileSync(file, "- a list");
    await expect(openAccess({ kubeconfig: file }, {})).rejects.toThrow("is no kubeconfig");
    writeFileSync(file, "{");
    await expect(openAccess({ kubeconfig: file }, {})).rejects.toThrow("is not YAML");
    const missing = openAccess({ kubeconfig: join(folder, "missing") }, {});
    await expect(missing).rejects.toThrow("cannot read");
  });
});

test("in a pod its service account is used, and its files are asked for", async () => {
  await expect(openAccess({}, inPod)).rejects.toThrow("say another with --ca-file");
});

test("where nothing says where the API server is, the refusal says how", async () => {
  const refusal = openAccess({}, { HOME: folder });
  await expect(refusal).rejects.toThrow("say --kubeconfig, or --server");
});
