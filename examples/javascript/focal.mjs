// The focal loss of a hard target and its derivative, without cancellation, in double precision.

// log(1 + e^x), which neither overflows nor loses small results.
export function softplus(x) {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
}

// With the margin s = x for positives and -x for negatives, p_t = sigmoid(s):
//   cross entropy       -log(p_t)       = softplus(-s)
//   modulating factor   (1 - p_t)^gamma = exp(-gamma softplus(s))
//   value               alpha_t (1 - p_t)^gamma (-log(p_t))
//   d value / d s       -alpha_t (1 - p_t)^gamma (gamma p_t (-log(p_t)) + 1 - p_t)
export function focalLoss(x, positive, weight, gamma) {
  const s = positive ? x : -x;
  const crossEntropy = softplus(-s);
  const missed = softplus(s);
  const factor = gamma === 0 ? 1 : Math.exp(-gamma * missed);
  const small = Math.exp(-Math.abs(s));
  const large = 1 / (1 + small);
  const [p, rest] = s >= 0 ? [large, small * large] : [small * large, large];
  // At s = -Infinity p_t vanishes faster than the cross entropy grows.
  const both = crossEntropy === Infinity ? 0 : p * crossEntropy;
  const slope = -weight * factor * (gamma * both + rest);
  return { value: weight * factor * crossEntropy, gradient: positive ? slope : -slope };
}
