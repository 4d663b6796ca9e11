import type { MethodDefinition } from "@grpc/grpc-js";
import type { Codec } from "./codec.ts";

/** A call of a service. */
export type Method = MethodDefinition<object, object>;

/** A call by its path, `/package.Service/Name`, and the codecs of what is asked and answered. */
export function methodAt(
  path: string,
  { request, response }: { readonly request: Codec; readonly response: Codec },
  streams: { readonly requestStream?: true; readonly responseStream?: true } = {},
): Method {
  return {
    path,
    requestStream: streams.requestStream ?? false,
    responseStream: streams.responseStream ?? false,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}
