// Installs the packed package into an empty folder, as a user would, and puts beside it what is run there: tests, example,
// benchmark. Nothing is asked of a registry. Prints the folder.

import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { here, pack, run, target } from "./pack.mjs";

const packages = pack();
const installed = join(target, "installed");
rmSync(installed, { recursive: true, force: true });
mkdirSync(installed, { recursive: true });
writeFileSync(join(installed, "package.json"), '{ "private": true }\n');
// The example, and the types that the tests' own types need, are the only things besides.
const beside = ["ws", "@types/ws", "@types/node", "undici-types"].map((name) => join(here, "node_modules", name));
run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--install-links", ...packages, ...beside], installed);
for (const folder of ["test", "examples", "bench"])
  cpSync(join(here, folder), join(installed, folder), { recursive: true });
console.log(installed);
