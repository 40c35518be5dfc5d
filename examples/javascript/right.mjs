// A focal loss that is right: node right.mjs

import { focalLoss } from "./focal.mjs";
import { serve } from "./protocol.mjs";

await serve("javascript-right", focalLoss);
