// Runs the benchmark where the package is installed.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { target } from "./pack.mjs";

const bench = join(target, "installed", "bench", "border.mjs");
process.exit(spawnSync(process.execPath, [bench], { stdio: "inherit" }).status ?? 1);
