// Questions: nothing is changed by this page before one was answered with yes.
import { h } from "./dom.mjs";

/**
 * Asks for a confirmation; gives what was typed into its fields, or undefined. Without `yes` it only tells.
 *
 * `act` runs on yes while the dialog is open: what it throws is shown, and one may try again.
 */
export function confirm({ heading, text, body, yes, grave = false, fields = [], act }) {
  return new Promise((resolve) => {
    const fault = h("p", { class: "bad", role: "alert" });
    const inputs = fields.map(({ name, ...props }) => h("input", { name, ...props }));
    const close = yes === undefined ? "Close" : "Do nothing";
    const no = h("button", { type: "button", onclick: () => dialog.close() }, close);
    const go = h(
      "button",
      { class: grave ? "grave" : "main", hidden: yes === undefined },
      yes ?? "",
    );
    const form = h(
      "form",
      { method: "dialog", onsubmit: (event) => void submit(event) },
      h("h2", null, heading),
      text && h("p", null, text),
      body,
      inputs.map((input, index) => h("label", null, fields[index].label, input)),
      fault,
      h("div", { class: "row" }, no, go),
    );
    const dialog = h("dialog", { "aria-label": heading }, form);
    let answer;
    async function submit(event) {
      event.preventDefault();
      const given = Object.fromEntries(inputs.map((input) => [input.name, input.value.trim()]));
      go.disabled = true;
      fault.textContent = "";
      try {
        await act?.(given);
        answer = given;
        dialog.close();
      } catch (error) {
        fault.textContent = error.message;
      } finally {
        go.disabled = false;
      }
    }
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (inputs[0] ?? no).focus();
  });
}
