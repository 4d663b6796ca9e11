-- Functions that were given other answers: replacing cannot change those.
drop function if exists
  agent_state_api.copied_scopes(text, text, integer),
  agent_state_api.copy_standing(text, text);
