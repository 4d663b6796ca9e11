-- Makes the row of a state what its history makes it. Answers null where it did (p_dry: where it would), or why not.
--
-- The history must be whole. p_witness is the newest change's digest as an independent copy holds it, null where none
-- does; it may not speak against the history. Where that goes on beyond the row, it is one word against the other:
-- then a witness has to speak for it.
create or replace function agent_state_api.repair_row(p_namespace text, p_id text, p_witness text, p_dry boolean)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row    agent_state.states;
  v_newest agent_state.changes;
  v_fault  text;
begin
  select * into v_row from agent_state.states s where s.namespace = p_namespace and s.id = p_id for update;
  if not found then return 'there is no such state'; end if;
  select f.check_name || ': ' || f.detail into v_fault
    from agent_state.check_range(v_row.state_no - 1, v_row.state_no) f where f.check_name <> 'C3' limit 1;
  if found then return format('its history is in doubt itself (%s)', v_fault); end if;
  select * into v_newest from agent_state.changes c where c.state_no = v_row.state_no order by c.version desc limit 1;
  if v_newest.digest <> v_row.digest and p_witness <> encode(v_newest.digest, 'hex') then
    return 'a copy holds another digest than the history';
  end if;
  if v_newest.version > v_row.version and v_newest.digest <> v_row.digest and p_witness is null then
    return format('history goes on to version %s, the row stands at %s, and no copy speaks for either', v_newest.version, v_row.version);
  end if;
  if not p_dry then perform agent_state.fold_row(v_row.state_no); end if;
  return null;
end $$;

-- The row of a state from its changes. Its phase was committed once: no lifecycle is asked again.
create or replace function agent_state.fold_row(p_state_no bigint)
returns void language plpgsql as $$
begin
  -- Not as a setting of the function: only a superuser may attach one of our own to it.
  perform set_config('agent_state.repair', 'fold', true);
  update agent_state.states s set
      version = n.version, step = n.step, phase = n.phase, digest = n.digest, deleted = n.body is null and n.stored = 'f', updated_at = n.at,
      feed_xid = n.feed_xid, scope_no = n.scope_no, scope = nullif(o.scope, s.id), base_version = b.version, full_bytes = b.bytes,
      delta_bytes = b.delta_bytes, delta_count = b.delta_count, append_path = null
    from agent_state.changes n
    join agent_state.scopes o on o.scope_no = n.scope_no,
    lateral (select f.version, coalesce(octet_length(f.body::text), 0) as bytes, d.delta_bytes, d.delta_count
               from agent_state.changes f,
               lateral (select coalesce(sum(octet_length(x.body::text)), 0)::integer as delta_bytes, count(*)::integer as delta_count
                          from agent_state.changes x where x.state_no = f.state_no and x.version > f.version) d
              where f.state_no = n.state_no and f.stored = 'f' order by f.version desc limit 1) b
   where s.state_no = p_state_no and n.state_no = s.state_no
     and n.version = (select max(m.version) from agent_state.changes m where m.state_no = p_state_no);
  perform set_config('agent_state.repair', 'off', true);
end $$;
