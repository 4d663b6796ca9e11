import type { TaskStore } from "../state/task-port.ts";
import type { TaskFigures } from "./task-figures.ts";

/** The same store; what it answers is counted. */
export function countedStore(store: TaskStore, figures: TaskFigures): TaskStore {
  return {
    ...store,
    push: async (namespace, pushes, settings) => {
      const answers = await store.push(namespace, pushes, settings);
      figures.pushed += answers.filter(({ code }) => code === null).length;
      figures.fencedWrites += answers.filter(({ code }) => code === "EPOCH_FENCED").length;
      return answers;
    },
    claim: async (namespace, order) => {
      const tasks = await store.claim(namespace, order);
      figures.claimed(tasks);
      return tasks;
    },
    report: async (namespace, reports, claim) => {
      const told = await store.report(namespace, reports, claim);
      for (const [index, answer] of told.answers.entries()) {
        figures.reported(namespace, reports[index]!, answer);
      }
      figures.claimed(told.claimed);
      return told;
    },
    recordEffect: async (namespace, order) => {
      const answer = await store.recordEffect(namespace, order);
      if (answer.code === "EPOCH_FENCED") figures.fencedWrites++;
      return answer;
    },
    cancel: async (namespace, id, why) => {
      const rows = await store.cancel(namespace, id, why);
      for (const row of rows) {
        if (row.code === null && row.phase === "canceled")
          figures.end(namespace, row.id, row.phase);
      }
      return rows;
    },
    endLeases: async (namespace, ended) => {
      const count = await store.endLeases(namespace, ended);
      figures.takeovers += count;
      return count;
    },
    sweep: async (limit, crashBudget) => {
      const swept = await store.sweep(limit, crashBudget);
      if (swept !== null) figures.swept(swept);
      return swept;
    },
  };
}
