-- The tasks of a stack that live and have no turn, so that a stack is read without all that ended in it.
-- breaking: no    an index
-- locks: tasks, while it is made

-- Held ones are not in it: no claim and no end writes to it.
create index tasks_parked on agent_state.tasks (stack_no) where ended_at is null and turn is null and worker_no is null;
