/** The page's own SHA-256 against Node's. */

import assert from "node:assert/strict";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";

import { Sha256 } from "../../../examples/demo/page/sha256.js";

test("agrees for every length around the block size, however the bytes are cut", () => {
  for (let length = 0; length < 300; length++) {
    const bytes = randomBytes(length);
    const hash = new Sha256();
    for (let at = 0; at < length;) {
      const end = Math.min(length, at + randomInt(1, 150));
      hash.update(bytes.subarray(at, end));
      at = end;
    }
    assert.equal(hash.hex(), createHash("sha256").update(bytes).digest("hex"), `${length} bytes`);
  }
});
