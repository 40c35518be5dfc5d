// A focal loss with a common mistake: node wrong.mjs

import { focalLoss, softplus } from "./focal.mjs";
import { serve } from "./protocol.mjs";

// The modulating factor taken for a constant in the derivative, as where it is computed under "no gradient".
function constantFactor(x, positive, weight, gamma) {
  const { value } = focalLoss(x, positive, weight, gamma);
  const missed = softplus(positive ? x : -x);
  const slope = -weight * Math.exp(-(gamma + 1) * missed);
  return { value, gradient: positive ? slope : -slope };
}

await serve("javascript-wrong", constantFactor);
