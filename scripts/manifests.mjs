// `npm run manifests`: writes deploy/manifests from the chart in deploy/helm, for those who have no Helm.
//
//   node scripts/manifests.mjs [folder]
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { findHelm, kubernetesVersion, provideDeployTools } from "./deploy-tools.mjs";
import { root } from "./setup.mjs";

const name = "agent-runtime";
const chart = path.join(root, "deploy", "helm", "agent-runtime-state");
const note = `# Written by \`npm run manifests\` from deploy/helm/agent-runtime-state; docs/deploy.md says how to use it.\n`;

/** What differs from the chart's defaults: a certificate that Helm made anew each time would be another one each time. */
const values = [
  "webhook.certificates.source=secret",
  `webhook.certificates.secret=${name}-webhook-tls`,
  "runtimeClass.create=true",
  "example.enabled=true",
];

/** Which templates go into which file. */
const files = {
  "service.yaml": ["service.yaml"],
  "captor.yaml": ["captor.yaml"],
  "reflector.yaml": ["reflector.yaml"],
  "webhook.yaml": ["webhook.yaml"],
  "network-policies.yaml": ["network-policies.yaml"],
  "example/kata-agent.yaml": ["runtime-class.yaml", "example-agent.yaml"],
};

provideDeployTools();
write(process.argv[2] ?? path.join(root, "deploy", "manifests"));

function write(folder) {
  const documents = render();
  fs.rmSync(folder, { recursive: true, force: true });
  const namespace = `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n`;
  put(path.join(folder, "00-namespace.yaml"), [namespace]);
  for (const [file, templates] of Object.entries(files)) {
    const own = templates.flatMap((template) =>
      documents.filter(({ source }) => source === template).map(({ text }) => text),
    );
    put(path.join(folder, file), own);
  }
}

function put(file, documents) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, note + documents.join("---\n"));
}

/** Each document with the template that it is of. */
function render() {
  const sets = values.flatMap((value) => ["--set", value]);
  const args = ["template", name, chart, "--namespace", name, "--kube-version", kubernetesVersion];
  const { status, stdout, stderr } = spawnSync(findHelm().file, [...args, ...sets], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`helm template failed: ${stderr}`);
  return stdout
    .split(/^---\n/m)
    .filter((text) => text.trim() !== "")
    .map((text) => {
      const [, source] = /^# Source: .*templates\/(.+)\n/.exec(text) ?? [];
      const plain = text.replace(/^# Source: .*\n/, "").replace(/^.*managed-by: Helm\n/gm, "");
      return { source, text: plain.replace(/^[ \t]+$/gm, "") };
    });
}
