-- Puts a change back as it was committed. Answers null where it did (p_dry: where it would), or why not.
--
-- The values are those of a copy; p_kind null: what main itself holds, with only its digest in doubt. Whether they are
-- the original is not believed but proven: with the digest before them they make a digest that is kept elsewhere: by the
-- change itself, by the one after it, or by the row of the state. Where HEAD's document was put together from it, a step
-- of kind 'p' says it once more, so that caches and watchers learn of it.
create or replace function agent_state_api.restore_change(
  p_namespace text, p_id text, p_version bigint, p_step bigint, p_position integer, p_at text, p_kind text, p_stored text,
  p_phase text, p_actor text, p_cause text, p_body text, p_dry boolean)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_row    agent_state.states;
  v_was    agent_state.changes;
  v_new    agent_state.changes;
  v_next   agent_state.changes;
  v_before bytea := '';
begin
  select * into v_row from agent_state.states s where s.namespace = p_namespace and s.id = p_id for update;
  if not found then return 'there is no such state'; end if;
  select * into v_was from agent_state.changes c where c.state_no = v_row.state_no and c.version = p_version;
  select * into v_next from agent_state.changes c where c.state_no = v_row.state_no and c.version = p_version + 1;
  if p_version > 1 then
    select c.digest into v_before from agent_state.changes c where c.state_no = v_row.state_no and c.version = p_version - 1;
    if not found then return 'the version before it is not there, so nothing can prove what it was'; end if;
  end if;
  v_new := v_was;
  if p_kind is null and v_was.state_no is null then return 'it is not there'; end if;
  if p_kind is not null then
    v_new.state_no := v_row.state_no; v_new.version := p_version; v_new.step := p_step; v_new.kind := p_kind; v_new.stored := p_stored;
    v_new.phase := p_phase; v_new.body := p_body::json; v_new.at := p_at::timestamptz; v_new.actor := p_actor; v_new.cause := p_cause;
    v_new.position := p_position; v_new.writer := coalesce(v_was.writer, 0); v_new.scope_no := v_row.scope_no;
    v_new.feed_xid := coalesce(v_was.feed_xid, agent_state.place_in_feed(v_row.scope_no, p_step));
  end if;
  v_new.digest := agent_state.digest_after(v_before, v_row, v_new);
  if v_new.digest is distinct from v_was.digest
     and (v_next.version is null or v_next.digest <> agent_state.digest_after(v_new.digest, v_row, v_next))
     and (v_row.version <> p_version or v_row.digest <> v_new.digest) then
    return 'no digest that is kept proves that this is what was committed';
  end if;
  if p_dry then return null; end if;
  if exists (select from agent_state.changes c where c.scope_no = v_new.scope_no and c.step = v_new.step and c.position = v_new.position
                and (c.state_no, c.version) <> (v_new.state_no, v_new.version)) then
    return 'another change has taken its place in the scope';
  end if;
  -- Of a large document the evidence has the beginning alone so far.
  update agent_state.findings f set evidence = f.evidence || jsonb_build_object('replaced', v_was.body::text)
   where f.resolved_at is null and f.namespace = p_namespace and f.id = p_id and f.version = p_version and octet_length(v_was.body::text) > 65536;
  delete from agent_state.changes c where c.state_no = v_row.state_no and c.version = p_version;
  insert into agent_state.changes select v_new.*;
  if p_kind is not null and p_version >= v_row.base_version then perform agent_state.repeat_head(v_row.state_no, p_version); end if;
  return null;
end $$;

-- Versions of a state that ought to be kept and are not: from its first one that is, or the very first where nothing
-- was pruned, up to its row's.
create or replace function agent_state_api.missing_versions(p_namespace text, p_id text, p_limit integer)
returns table (version bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select v
    from agent_state.states s
    left join lateral (select c.version, c.stored from agent_state.changes c where c.state_no = s.state_no order by c.version limit 1) f on true,
    lateral generate_series(
      case when f.stored = 'f' and exists (select from agent_state.meta m where m.name = 'feed_floor') then f.version else 1 end,
      greatest(s.version, (select max(c.version) from agent_state.changes c where c.state_no = s.state_no))) v
   where s.namespace = p_namespace and s.id = p_id
     and not exists (select from agent_state.changes c where c.state_no = s.state_no and c.version = v)
   order by v limit p_limit
$$;

-- The digest of a change, by the digest before it; null where there is no change.
create or replace function agent_state.digest_after(p_before bytea, p_row agent_state.states, p_change agent_state.changes)
returns bytea language sql stable as $$
  select case when (p_change).version is not null then
    agent_state.digest_of(p_before, (p_row).namespace, (p_row).id, (p_row).type, (p_change).step, (p_change).version,
      case when (p_change).body is null and (p_change).stored = 'f' then 'd' else 'u' end, (p_change).stored::text, (p_change).phase, (p_change).body) end
$$;

-- Where in the feed a change that was lost belongs: with the step before it, as each scope is in step order there.
create or replace function agent_state.place_in_feed(p_scope_no bigint, p_step bigint)
returns xid8 language sql stable as $$
  select coalesce((select c.feed_xid from agent_state.changes c where c.scope_no = p_scope_no and c.step <= p_step
                    order by c.step desc, c.position desc limit 1), '1'::xid8)
$$;

-- Says the document of a state once more, as a step of its own, where its history is whole again.
create or replace function agent_state.repeat_head(p_state_no bigint, p_repaired bigint)
returns void language plpgsql as $$
declare
  v_row    agent_state.states;
  v_newest agent_state.changes;
  v_head   agent_state.changes;
begin
  if exists (select from agent_state.check_range(p_state_no - 1, p_state_no) f where f.check_name <> 'C3') then return; end if;
  select * into v_row from agent_state.states s where s.state_no = p_state_no;
  select * into v_newest from agent_state.changes c where c.state_no = p_state_no order by c.version desc limit 1;
  if v_newest.version <> v_row.version or (v_newest.body is null and v_newest.stored = 'f') then return; end if;
  select * into v_head from agent_state.changes c where c.scope_no = v_newest.scope_no order by c.step desc, c.position desc limit 1;
  v_head.body := agent_state.document(p_state_no, v_newest.version);
  v_head.feed_xid := greatest(pg_current_xact_id(), v_head.feed_xid);
  v_head.step := v_head.step + 1; v_head.state_no := p_state_no; v_head.version := v_newest.version + 1; v_head.position := 0;
  v_head.writer := 0; v_head.at := clock_timestamp(); v_head.kind := 'p'; v_head.stored := 'f'; v_head.phase := v_newest.phase;
  v_head.actor := 'fsck'; v_head.cause := format('version %s was put back as it was committed', p_repaired); v_head.idempotency_key := null;
  v_head.digest := agent_state.digest_after(v_newest.digest, v_row, v_head);
  insert into agent_state.changes select v_head.*;
  perform agent_state.fold_row(p_state_no);
end $$;
