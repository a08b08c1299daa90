/** The choice between a model's own decoder, and others for the same files: a group of radio buttons. */

/** @typedef {{ fingerprint: string, name: string, decoders: string[] }} BuiltModel a model that is part of the page */

/** What the model's own decoder is called. */
const OWN = "faithful";

export class DecoderChoice {
  /** What was chosen last: files of other models are decoded so too, where they can be. */
  #wanted = OWN;
  /** What the picture that is shown was decoded by. */
  #shown = OWN;
  /** Of the model that the buttons are for. */
  #fingerprint = "";
  #group;
  #models;

  /** @param {HTMLElement} group hidden where there is nothing to choose @param {BuiltModel[]} models */
  constructor(group, models) {
    this.#group = group;
    this.#models = models;
  }

  /** What may be chosen: decoders by what they are called. @param {string} fingerprint @returns {Map<string, string>} */
  #decoders(fingerprint) {
    const model = this.#models.find((each) => each.fingerprint === fingerprint);
    const called = (/** @type {string} */ name) =>
      name.startsWith(`${model?.name}-`) ? name.slice((model?.name.length ?? 0) + 1) : name;
    return new Map((model?.decoders ?? []).map((name) => [called(name), name]));
  }

  /** The decoder that is wanted for a model's files; undefined for its own. @param {string} fingerprint */
  decoderFor(fingerprint) {
    return this.#decoders(fingerprint).get(this.#wanted);
  }

  /** Takes over what the user has chosen. */
  take() {
    this.#wanted = this.#buttons().find((button) => button.checked)?.value ?? OWN;
  }

  /** Goes back to the decoder of what is shown. */
  restore() {
    this.#wanted = this.#shown;
    this.#check();
  }

  /** Offers what there is for files of a model, one of which is shown as is wanted. @param {string} fingerprint */
  offer(fingerprint) {
    const others = [...this.#decoders(fingerprint).keys()];
    this.#shown = others.includes(this.#wanted) ? this.#wanted : OWN;
    this.#group.hidden = others.length === 0;
    if (this.#fingerprint !== fingerprint) {
      // Only then: whoever uses a button keeps the focus on it.
      this.#fingerprint = fingerprint;
      for (const button of this.#buttons()) button.parentElement?.remove();
      this.#group.append(...[OWN, ...others].map(buttonOf));
    }
    this.#check();
  }

  #check() {
    const buttons = this.#buttons();
    const chosen = buttons.find((button) => button.value === this.#wanted) ?? buttons[0];
    if (chosen) chosen.checked = true;
  }

  #buttons() {
    return [...this.#group.querySelectorAll("input")];
  }
}

/** @param {string} name @param {number} index @returns {HTMLElement} */
function buttonOf(name, index) {
  const [label, button] = [document.createElement("label"), document.createElement("input")];
  Object.assign(button, { type: "radio", name: "decoder", value: name, id: `decoder-${index}` });
  label.append(button, ` ${name}`);
  return label;
}
