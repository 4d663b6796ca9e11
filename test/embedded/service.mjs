// A service that does nothing but keep a home open: node service.mjs <compiled home.js> <data directory>
// ROLES: main,readonly,rollback   which servers; unsaid: main
import { pathToFileURL } from "node:url";

const [module, dataDir] = process.argv.slice(2);
const { openEmbeddedHome } = await import(pathToFileURL(module).href);
const say = (fact) => process.stdout.write(`${JSON.stringify(fact)}\n`);
const write = (_fields, message) => say({ event: "log", message });
const log = { debug: write, info: write, warn: write, error: write };

try {
  const roles = (process.env.ROLES ?? "main").split(",");
  const home = await openEmbeddedHome({ dataDir, binaries: "npm", roles, log });
  await Promise.all(roles.map((name) => home.whenReady(name)));
  const [{ pid }] = home.status();
  say({ event: "ready", address: home.address("main"), pid });
  process.on("SIGINT", () => say({ event: "interrupted" })); // It would finish its work first.
  process.once("SIGTERM", () => void home.close().then(() => say({ event: "closed" })));
} catch (error) {
  say({ event: "refused", code: error.code, message: error.message });
}
