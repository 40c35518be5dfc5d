// Numbers as the suite writes them: IEEE 754 bit strings, most significant digit first.

const view = new DataView(new ArrayBuffer(8));

export const DIGITS = { float64: 16, float32: 8 };

export function fromBits(text, dtype) {
  if (typeof text !== "string" || text.length !== DIGITS[dtype] || !/^[0-9a-f]*$/.test(text)) {
    throw new RangeError(`bits: got ${text}; ${dtype} has ${DIGITS[dtype]} hexadecimal digits`);
  }
  if (dtype === "float32") {
    view.setUint32(0, parseInt(text, 16));
    return view.getFloat32(0);
  }
  view.setBigUint64(0, BigInt(`0x${text}`));
  return view.getFloat64(0);
}

// For float32 this is the one rounding of a result.
export function toBits(number, dtype) {
  if (dtype === "float32") {
    view.setFloat32(0, number);
    return view.getUint32(0).toString(16).padStart(8, "0");
  }
  view.setFloat64(0, number);
  return view.getBigUint64(0).toString(16).padStart(16, "0");
}
