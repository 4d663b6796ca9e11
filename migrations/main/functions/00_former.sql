-- Functions that went away or were given other parameters: replacing would leave the former ones beside the new.
drop function if exists
  agent_state.json_edit(json, text[], text, json),
  agent_state.json_at(json, text[]),
  agent_state.patch_json(json, json, integer),
  agent_state.apply_delta(json, json, integer),
  agent_state.document(bigint, bigint),
  agent_state.weigh_delta(agent_state.states, json, integer),
  agent_state.reserve_states(timestamptz, integer[], integer, text[], text[], text[], text[], text[], bigint[]),
  agent_state.must_go_apart(integer[], text[], text[], text[], text[], text[], text[], bigint[], bigint[], text[]),
  agent_state_api.read_rollback_plan(text, text, bigint),
  agent_state_api.rollback_scope(text, text, bigint, bigint, text, text[], bigint[], text[], text[], json[], text, text, integer),
  agent_state_api.read_scope(text, text),
  agent_state_api.read_feed(bigint, bigint, bigint, integer, integer),
  agent_state_api.read_scope_states(text, text, bigint, text, integer),
  agent_state_api.commit_batch(integer[], text[], text[], text[], text[], text[], json[], text[], bigint[], bigint[], bigint[],
                               text[], text[], text[], timestamptz[], integer, boolean, integer),
  agent_state_api.commit_batch(integer[], text[], text[], text[], text[], text[], json[], text[], bigint[], bigint[], bigint[],
                               text[], text[], text[], timestamptz[], integer, boolean, integer, tid[], tid[]);
