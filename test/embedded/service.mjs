// A service that does nothing but keep a home open: node service.mjs <compiled home.js> <data directory>
import { pathToFileURL } from "node:url";

const [module, dataDir] = process.argv.slice(2);
const { openEmbeddedHome } = await import(pathToFileURL(module).href);
const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);
const write = (_fields, message) => say({ event: "log", message });
const log = { debug: write, info: write, warn: write, error: write };

try {
  const home = await openEmbeddedHome({ dataDir, binaries: process.env.BINARIES ?? "npm", log });
  const [{ pid }] = home.status();
  say({ event: "ready", address: home.address("main"), pid });
  process.on("SIGINT", () => say({ event: "interrupted" })); // It would finish its work first.
  process.once("SIGTERM", async () => {
    await home.close();
    say({ event: "closed" });
  });
} catch (error) {
  say({ event: "refused", code: error.code, message: error.message });
}
