/** An archive of the program's image, and what the image is called. */
export interface ImageArchive {
  readonly name: string;
  readonly file: string;
}

export function provideImage(): ImageArchive;
