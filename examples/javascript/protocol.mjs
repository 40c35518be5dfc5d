// Answers the suite's questions on standard input; a program defines one formula and calls serve().

import { createInterface } from "node:readline";

import { DIGITS, fromBits, toBits } from "./bits.mjs";

const PROTOCOL = 1;

// What this implementation claims; the same as a profile's TOML file, which the command line would name otherwise.
function profile(name) {
  return {
    profile: { name, description: "An example in JavaScript", package: name, library: "process" },
    conventions: {
      formula: "focal",
      prediction: "logits",
      multi_class: "sigmoid",
      alpha: "pos/1-pos",
      alpha_off: "none",
      soft_targets: "unsupported",
      clipping: "none",
      epsilon: 0,
      mean: "unsupported",
      sum: "unsupported",
      background: "none",
      ignore: "none",
      gradient: "function",
      subnormals: "kept",
    },
    claims: { capabilities: [], dtypes: { float64: "standard", float32: "exact" } },
  };
}

class Refusal extends Error {}

function refuseUnless(condition, argument, got, allowed) {
  if (!condition) throw new Refusal(`${argument}: got ${got}; ${allowed}`);
}

function numbers(array, argument) {
  refuseUnless(Object.hasOwn(DIGITS, array.dtype), argument, array.dtype, "allowed are float64 and float32");
  return Float64Array.from(array.bits, (text) => fromBits(text, array.dtype));
}

// Every argument that the formula has no answer for is refused: an answer to something else would be a wrong one.
function hyperparameters(request) {
  refuseUnless(request.function === "loss", "function", request.function, "this program has loss");
  const known = ["alpha", "gamma", "reduction"];
  for (const name of Object.keys(request.parameters)) {
    refuseUnless(known.includes(name), name, "a value", `this program has ${known.join(", ")}`);
  }
  const { alpha, gamma, reduction } = request.parameters;
  refuseUnless(reduction === "none", "reduction", reduction, "allowed is none");
  refuseUnless(alpha === null || typeof alpha === "string", "alpha", "an array", "it is null or a number in [0, 1]");
  refuseUnless(typeof gamma === "string", "gamma", "an array", "it is a finite number, 0 or larger");
  const a = alpha === null ? null : fromBits(alpha, "float64");
  const g = fromBits(gamma, "float64");
  refuseUnless(a === null || (a >= 0 && a <= 1), "alpha", a, "it is null or a number in [0, 1]");
  refuseUnless(g >= 0 && g < Infinity, "gamma", g, "it is a finite number, 0 or larger");
  return { alpha: a, gamma: g };
}

function run(request, compute) {
  const { alpha, gamma } = hyperparameters(request);
  const { dtype, shape } = request.logits;
  const logits = numbers(request.logits, "logits");
  const targets = numbers(request.targets, "targets");
  const shapes = [shape, request.targets.shape].map((sizes) => JSON.stringify(sizes));
  refuseUnless(shapes[0] === shapes[1], "targets", `shape ${shapes[1]}`, `logits have shape ${shapes[0]}`);
  const computed = { value: new Float64Array(logits.length), gradient: new Float64Array(logits.length) };
  for (const [index, logit] of logits.entries()) {
    const target = targets[index];
    refuseUnless(target === 0 || target === 1, "targets", target, "allowed are 0 and 1");
    const weight = alpha === null ? 1 : target === 1 ? alpha : 1 - alpha;
    const { value, gradient } = compute(logit, target === 1, weight, gamma);
    computed.value[index] = value;
    computed.gradient[index] = gradient;
  }
  const results = {};
  for (const name of request.quantities) {
    refuseUnless(Object.hasOwn(computed, name), "quantities", name, "allowed are value and gradient");
    results[name] = { dtype, shape, bits: Array.from(computed[name], (number) => toBits(number, dtype)) };
  }
  return { results };
}

function answer(request, name, compute) {
  if (request.command === "start") return { protocol: PROTOCOL };
  if (request.command === "describe") {
    const implemented = { dtypes: ["float64", "float32"], quantities: ["value", "gradient"] };
    return { name, version: "1.0", implements: implemented, profile: profile(name) };
  }
  refuseUnless(request.command === "run", "command", request.command, "allowed are start, describe, run and stop");
  return run(request, compute);
}

export async function serve(name, compute) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (request.command === "stop") break;
    let message;
    try {
      message = answer(request, name, compute);
    } catch (error) {
      // Whatever else happens is a crash, and the suite says so.
      if (!(error instanceof Refusal)) throw error;
      message = { error: error.message };
    }
    process.stdout.write(`${JSON.stringify({ id: request.id, ...message })}\n`);
  }
}
