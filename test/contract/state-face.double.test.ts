import { DoubleStateFace } from "../server/double-state-face.ts";
import { stateFaceContract } from "./state-face.ts";

stateFaceContract("the double in memory", async () => {
  const face = new DoubleStateFace();
  return { face, close: () => face.close() };
});
