-- The first position behind every settled change. It lies behind the newest of them and not at the
-- horizon: after a crash PostgreSQL hands out again the ids of transactions that left nothing on disk (a
-- refused write's), and what is written then would come to lie before a position that somebody holds.
create or replace function agent_state.feed_head()
returns bigint language sql stable as $$
  select coalesce((select l.feed_xid::text::bigint + 1 from agent_state.changes l
                    where l.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
                    order by l.feed_xid desc, l.scope_no desc, l.step desc, l.position desc limit 1), 0)
$$;

-- Where the feed stands: everything before `head` is settled, and nothing will join it; `floor` is up to
-- where changes were pruned; `lineage` names the history that cursors belong to. The timeline is part of
-- it: what comes after a backup was restored is not what the holder of a later cursor has seen.
create or replace function agent_state_api.feed_bounds()
returns table (lineage text, head bigint, floor text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select (select md5(m.value || '.' || (select w.timeline_id from pg_control_checkpoint() w))
            from agent_state.meta m where m.name = 'lineage'),
         agent_state.feed_head(),
         (select m.value from agent_state.meta m where m.name = 'feed_floor')
$$;

-- Settled changes after a position, in feed order: each scope in step order. A page ends with the change with which it
-- has p_bytes of bodies; what comes after that is not read.
create or replace function agent_state_api.read_feed(
  p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer, p_limit integer, p_bytes integer default 8388608)
returns table (feed_xid bigint, scope_no bigint, step bigint, "position" integer, state_no bigint, namespace text, scope text, id text,
               type text, version bigint, kind text, stored text, phase text, cause text, actor text, digest bytea, at timestamptz, body json)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  v_bytes bigint := 0;
begin
  for feed_xid, scope_no, step, "position", state_no, namespace, scope, id, type, version, kind, stored, phase, cause, actor, digest, at, body in
    select c.feed_xid::text::bigint, c.scope_no, c.step, c.position, c.state_no, s.namespace, coalesce(s.scope, s.id), s.id, s.type,
           c.version, c.kind::text, c.stored::text, c.phase, c.cause, c.actor, c.digest, c.at, c.body
      from (select * from agent_state.changes l
             where (l.feed_xid, l.scope_no, l.step, l.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
               and l.feed_xid < pg_snapshot_xmin(pg_current_snapshot())
             order by l.feed_xid, l.scope_no, l.step, l.position
             limit p_limit) c
      join agent_state.states s on s.state_no = c.state_no
     order by c.feed_xid, c.scope_no, c.step, c.position
  loop
    return next;
    v_bytes := v_bytes + coalesce(octet_length(body::text), 0);
    exit when v_bytes >= p_bytes;
  end loop;
end $$;

-- The document of a state at a version, by the number that the feed gave.
create or replace function agent_state_api.read_document(p_state_no bigint, p_version bigint)
returns json language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select agent_state.document(p_state_no, p_version)
$$;

-- Which states others than this writer changed since a position, up to which version. The first row
-- has no id: its version counts the changes looked at (a full page means that there were more), its
-- head is how far that looked, and it names the moment: `run` this server since it was started, with what
-- it holds; transactions below `settled` had ended, and none at or above `next` had begun.
create or replace function agent_state_api.foreign_changes(
  p_writer integer, p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer, p_limit integer)
returns table (namespace text, id text, version bigint, head bigint, run text, settled bigint, next bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
begin
  return query
  with seen as materialized (
    select l.state_no, l.version from agent_state.changes l
     where (l.feed_xid, l.scope_no, l.step, l.position) > (p_xid::text::xid8, p_scope_no, p_step, p_position)
       and l.feed_xid < pg_snapshot_xmin(pg_current_snapshot()) and l.writer <> p_writer
     limit p_limit)
  select null, null, (select count(*) from seen), agent_state.feed_head(),
         md5((select b.lineage from agent_state_api.feed_bounds() b) || '.' || extract(epoch from pg_postmaster_start_time())),
         pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  union all
  select s.namespace, s.id, c.version, null, null, null, null
    from (select n.state_no, max(n.version) as version from seen n group by n.state_no) c
    join agent_state.states s on s.state_no = c.state_no;
end $$;
