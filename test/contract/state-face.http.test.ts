import { HttpStateClient } from "../../src/client/http-client.ts";
import { DoubleStateFace } from "../server/double-state-face.ts";
import { serve } from "../server/serve.ts";
import { stateFaceContract } from "./state-face.ts";

stateFaceContract("the HTTP client over the double", async () => {
  const double = new DoubleStateFace();
  const { url, close } = await serve(double, { feedHead: () => double.feedHead() });
  const face = HttpStateClient.open({ url });
  return {
    face,
    close: async () => {
      await face.close();
      await close();
    },
  };
});
