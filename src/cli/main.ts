#!/usr/bin/env node
import { runProgram } from "./program.ts";
import { processTerminal } from "./process-terminal.ts";

const terminal = processTerminal();
const exitCode = await runProgram(process.argv.slice(2), terminal);

// What is still open (a connection kept alive) must not hold a command that is done. Both streams
// come first: whoever reads them gets all of it.
process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
