/** What this module throws when a file, a model or an argument is not what it should be: one line. */
export class TfhError extends Error {
  /** @param {string} message what was expected, and what came */
  constructor(message) {
    super(message);
    this.name = "TfhError";
  }
}
