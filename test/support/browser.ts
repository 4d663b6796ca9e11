import { chromium } from "playwright-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { onTestFinished, type TestContext } from "vitest";
import { findParts } from "../../dev/services/tools.ts";

/** A browser for the tests of one file, started for the first of them. */
export class TestBrowser {
  #starting: Promise<Browser> | undefined;

  /** A page of a fresh profile; where there is no browser, the test is skipped with the reason. */
  async open(
    context: Pick<TestContext, "skip">,
    options: BrowserContextOptions = {},
  ): Promise<TestPage> {
    const { browser } = findParts();
    if (browser.missing !== undefined) return missing(context, browser.missing);
    this.#starting ??= chromium.launch({ executablePath: browser.file, timeout: 120_000 });
    const profile = await (await this.#starting).newContext({ locale: "en-GB", ...options });
    profile.setDefaultTimeout(60_000);
    onTestFinished(() => profile.close());
    return listenTo(await profile.newPage());
  }

  async close(): Promise<void> {
    await (await this.#starting)?.close();
  }
}

/** A page, and what it complained of and asked for. */
export interface TestPage {
  readonly page: Page;
  readonly complaints: string[];
  readonly requests: string[];
}

function listenTo(page: Page): TestPage {
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("pageerror", (error) => void complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("request", (request) => void requests.push(request.url()));
  return { page, complaints, requests };
}

function missing(context: Pick<TestContext, "skip">, what: string): never {
  if (process.env["CI"] === "true") throw new Error(`no browser: ${what}`);
  return context.skip(`no browser: ${what}`);
}
