// Uses the exported test vectors without focal-ref: node check_bundle.mjs focal-ref-vectors
//
// Computes value and gradient of every test of float64 and float32 with hard targets, and compares them within the number
// of units that the bundle's README allows: 0.501 in float32, 16 + 4 gamma + 2 m in float64, and half a unit for the
// rounding of the expected number. Exit code 0: all are met; 1: some are not; 2: the bundle cannot be used.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { DIGITS, fromBits } from "./bits.mjs";
import { focalLoss, softplus } from "./focal.mjs";

const PRECISION = { float64: 53, float32: 24 };
const SMALLEST_EXPONENT = { float64: -1022, float32: -126 };

// The unit in the last place of an exact result; in two steps, because 2^-1074 overflows as a divisor.
function inUnits(difference, exact, dtype) {
  const magnitude = Math.abs(exact);
  let exponent = magnitude === 0 ? -Infinity : Math.floor(Math.log2(magnitude));
  // The logarithm may be rounded to the next whole number.
  if (2 ** exponent > magnitude) exponent -= 1;
  const unit = Math.max(exponent, SMALLEST_EXPONENT[dtype]) - PRECISION[dtype] + 1;
  const half = Math.trunc(unit / 2);
  return (difference / 2 ** half) / 2 ** (unit - half);
}

function agrees(got, bits, exact, dtype, allowed) {
  const expected = fromBits(bits, dtype);
  if (Number.isNaN(expected)) return Number.isNaN(got);
  if (!Number.isFinite(expected)) return got === expected;
  // null stands for a number that is zero in every dtype.
  const size = exact === null ? 0 : Number(exact);
  return Number.isFinite(got) && inUnits(Math.abs(got - expected), size, dtype) <= allowed;
}

function check(group, test) {
  const { dtype } = group;
  const alpha = group.alpha === null ? null : fromBits(group.alpha.bits, "float64");
  const gamma = fromBits(group.gamma.bits, "float64");
  const x = fromBits(test.logit, dtype);
  const positive = fromBits(test.target, dtype) === 1;
  const weight = alpha === null ? 1 : positive ? alpha : 1 - alpha;
  let got = focalLoss(x, positive, weight, gamma);
  // A weight of 0 gives 0, also where the loss is infinite.
  if (weight === 0 && !Number.isNaN(x)) got = { value: 0, gradient: 0 };
  let allowed = 0.501 + 0.5;
  if (dtype === "float64") {
    const m = gamma * softplus(positive ? x : -x);
    const size = Number.isNaN(m) ? 0 : Math.min(m, 1e4);
    allowed = 16 + 4 * Math.min(gamma, 1e9) + 2 * size + (alpha === null ? 0 : 1) + 0.5;
  } else {
    got = { value: Math.fround(got.value), gradient: Math.fround(got.gradient) };
  }
  return (
    agrees(got.value, test.value, test.exact_value, dtype, allowed) &&
    agrees(got.gradient, test.gradient, test.exact_gradient, dtype, allowed)
  );
}

function read(folder, manifest, file) {
  const content = readFileSync(join(folder, file));
  const hash = createHash("sha256").update(content).digest("hex");
  if (hash !== manifest.files[file].sha256) throw new Error(`${file}: sha256 differs from that in manifest.json`);
  return JSON.parse(content);
}

function main(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json")));
  if (manifest.bundle_version !== 1) throw new Error(`bundle_version: got ${manifest.bundle_version}, expected 1`);
  let run = 0;
  let failed = 0;
  for (const [name, entry] of Object.entries(manifest.sets)) {
    if (!name.startsWith("focal/")) continue;
    for (const group of read(folder, manifest, entry.file).groups) {
      if (group.encoding !== "binary" || !Object.hasOwn(DIGITS, group.dtype)) continue;
      for (const test of group.tests) {
        run += 1;
        if (check(group, test)) continue;
        failed += 1;
        if (failed <= 10) console.log(`not met: ${test.id}`);
      }
    }
  }
  if (run === 0) throw new Error("manifest.json: has no set of focal/");
  console.log(`${run - failed} of ${run} tests met`);
  return failed > 0 ? 1 : 0;
}

try {
  if (process.argv.length !== 3) throw new Error("usage: node check_bundle.mjs focal-ref-vectors");
  process.exitCode = main(process.argv[2]);
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
