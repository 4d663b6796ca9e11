/** What a caller may hand in, and how much. */
export interface Limits {
  readonly idCharacters: number;
  /** Bytes of a document's JSON text. */
  readonly dataBytes: number;
  /** Levels of nesting: 0 for a scalar, 1 for `{}`. */
  readonly dataDepth: number;
  /** Changes in a changeset, and changesets in a batch. */
  readonly changesetChanges: number;
  readonly pageItems: number;
}

export const DEFAULT_LIMITS: Limits = {
  idCharacters: 200,
  dataBytes: 1_048_576,
  dataDepth: 64,
  changesetChanges: 1_000,
  pageItems: 1_000,
};
