-- Rebuilding main from the rollback database after its loss (docs/rollback.md): by its owner, in a database that is empty, with
-- nobody else on it. Until the last of it is there the books of migrations hold a step that no program knows: none opens it.

-- Begins, or goes on: p_order says what is restored from where; another one is refused. Answers {"refused": why}, or
-- {"after": {"namespace", "scope"}, "report", "done"}: the last scope that is there, null: none is; once all is there, what came of
-- it; and whether it came to its end.
create or replace function agent_state.begin_restore(p_order text, p_program text)
returns json language plpgsql as $$
declare
  v_under_way json := (select m.value from agent_state.meta m where m.name = 'restore');
  v_done      json := (select m.value from agent_state.meta m where m.name = 'restored');
begin
  if v_under_way is not null then
    if v_under_way ->> 'order' <> p_order then return json_build_object('refused', 'other', 'order', v_under_way ->> 'order'); end if;
    return json_build_object('after', v_under_way -> 'after', 'report', v_under_way ->> 'report');
  end if;
  if v_done ->> 'order' = p_order then return json_build_object('after', null, 'report', v_done ->> 'report', 'done', true); end if;
  if exists (select from agent_state.states) or exists (select from agent_state.changes) or exists (select from agent_state.scopes) then
    return json_build_object('refused', 'not empty', 'states', (select count(*) from agent_state.states));
  end if;
  insert into agent_state.meta values ('restore', json_build_object('order', p_order)::text);
  update agent_state.meta m set value = gen_random_uuid()::text where m.name = 'lineage';   -- old cursors are told GAP
  insert into agent_state.migrations (number, name, checksum, program) values (1000000, 'restore', '', p_program);
  return json_build_object('after', null);
end $$;

-- What a state's row says, from the log alone. Its expiry is no part of that.
create or replace function agent_state.derive_states(p_state_no bigint[])
returns void language sql as $$
  update agent_state.states s set
      version = l.version, step = l.step, digest = l.digest, phase = l.phase, deleted = l.body is null and l.stored = 'f', updated_at = l.at,
      feed_xid = l.feed_xid, base_version = b.version, full_bytes = coalesce(octet_length(b.body::text), 0), delta_bytes = d.bytes,
      delta_count = d.deltas, append_path = null, created_at = n.at
    from unnest(p_state_no) u(state_no)
    cross join lateral (select c.* from agent_state.changes c where c.state_no = u.state_no order by c.version desc limit 1) l
    cross join lateral (select c.version, c.body from agent_state.changes c where c.state_no = u.state_no and c.stored = 'f'
                         order by c.version desc limit 1) b
    cross join lateral (select count(*) as deltas, coalesce(sum(octet_length(c.body::text)), 0) as bytes from agent_state.changes c
                         where c.state_no = u.state_no and c.version > b.version) d
    cross join lateral (select min(c.at) as at from agent_state.changes c
                         where c.state_no = u.state_no
                           and c.version > coalesce((select max(g.version) from agent_state.changes g where g.state_no = u.state_no and g.body is null
                                                        and g.stored = 'f' and g.version < l.version), 0)) n
   where s.state_no = u.state_no
$$;

-- Puts a page of the log in, as restorable_log of the rollback database gives it; twice is as good as once. Every change that is
-- here then is proven from what is here: its digest follows from the one before it.
create or replace function agent_state.restore_changes(p_rows json)
returns integer language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $$
declare
  v_states bigint[];
  v_wrong  text;
begin
  perform set_config('agent_state.restore', 'on', true), set_config('agent_state.tasks', 'on', true);
  insert into agent_state.scopes (namespace, scope)
  select distinct r.namespace, r.scope from json_to_recordset(p_rows) r(namespace text, scope text) order by 1, 2
  on conflict do nothing;
  insert into agent_state.states (scope_no, version, step, base_version, created_at, updated_at, deleted, namespace, id, type, scope, phase, digest)
  select distinct on (r.namespace, r.id) o.scope_no, r.version, r.step, r.version, r.at, r.at, false, r.namespace, r.id, r.type, nullif(r.scope, r.id),
         r.phase, decode(r.digest, 'hex')
    from json_to_recordset(p_rows) r(namespace text, scope text, id text, type text, version bigint, step bigint, at timestamptz, phase text, digest text)
    join agent_state.scopes o on o.namespace = r.namespace and o.scope = r.scope
   order by r.namespace, r.id, r.version
  on conflict do nothing;

  -- All of it sorts before whatever is written later, each scope in step order.
  insert into agent_state.changes (feed_xid, scope_no, step, state_no, version, at, position, writer, kind, stored, digest, phase, actor, cause, body)
  select '1'::xid8, o.scope_no, r.step, s.state_no, r.version, r.at, r.position, 0, r.kind::"char", r.stored::"char", decode(r.digest, 'hex'), r.phase,
         r.actor, r.cause, r.body::json
    from json_to_recordset(p_rows) r(namespace text, scope text, step bigint, "position" integer, id text, version bigint, at timestamptz, kind text,
                                     stored text, digest text, phase text, actor text, cause text, body text)
    join agent_state.scopes o on o.namespace = r.namespace and o.scope = r.scope
    join agent_state.states s on s.namespace = r.namespace and s.id = r.id
  on conflict do nothing;

  select format('%s version %s', to_json(r.id), r.version) into v_wrong
    from json_to_recordset(p_rows) r(namespace text, scope text, id text, type text, step bigint, version bigint, digest text, before text, seal text)
    left join agent_state.states s on s.namespace = r.namespace and s.id = r.id and coalesce(s.scope, s.id) = r.scope and s.type = r.type
    left join agent_state.changes c on c.state_no = s.state_no and c.version = r.version and c.step = r.step
   where c.digest is distinct from decode(r.digest, 'hex')
      or agent_state.digest_of(coalesce(decode(r.before, 'hex'), c.digest), s.namespace, s.id, s.type, c.step, c.version,
                               case when c.body is null and c.stored = 'f' then 'd' else 'u' end, c.stored::text, c.phase, c.body)
         is distinct from case when r.before is not null then c.digest else decode(r.seal, 'hex') end
   limit 1;
  if v_wrong is not null then
    raise exception using errcode = 'PT409', message = 'RESTORE_REFUSED', detail = v_wrong;
  end if;

  select array_agg(distinct s.state_no) into v_states
    from json_to_recordset(p_rows) r(namespace text, id text) join agent_state.states s on s.namespace = r.namespace and s.id = r.id;
  perform agent_state.derive_states(v_states);
  perform set_config('agent_state.restore', 'off', true), set_config('agent_state.tasks', '', true);
  return cardinality(v_states);
end $$;

-- What was said of scopes whose log is here: holds, and steps in quarantine; and which steps went back, as the log and the
-- quarantine tell: to the newest step before them that is not in it. `p_after` is how far the restore came with them.
create or replace function agent_state.restore_scopes(p_scopes json, p_after json)
returns void language plpgsql set enable_seqscan = off set jit = off as $$
begin
  insert into agent_state.holds (scope_no, reason, held_by)
  select o.scope_no, r.hold, 'restore'
    from json_to_recordset(p_scopes) r(namespace text, scope text, hold text)
    join agent_state.scopes o on o.namespace = r.namespace and o.scope = r.scope
   where r.hold is not null
  on conflict do nothing;
  insert into agent_state.quarantine (scope_no, step, reason, by_whom)
  select o.scope_no, g, 'in quarantine when main was lost', 'restore'
    from json_to_recordset(p_scopes) r(namespace text, scope text, step bigint, quarantined text)
    join agent_state.scopes o on o.namespace = r.namespace and o.scope = r.scope,
         lateral unnest(r.quarantined::int8multirange) q, lateral generate_series(lower(q), least(upper(q) - 1, r.step)) g
  on conflict do nothing;
  insert into agent_state.rollbacks (scope_no, step, restored_step, undone_step, source, reason, actor, at)
  select distinct on (o.scope_no, c.step) o.scope_no, c.step, n.restored, c.step - 1, 'rollback', c.cause, c.actor, c.at
    from json_to_recordset(p_scopes) r(namespace text, scope text, quarantined text)
    join agent_state.scopes o on o.namespace = r.namespace and o.scope = r.scope
    join agent_state.changes c on c.scope_no = o.scope_no and c.kind = 'r'
    join lateral (select lower(q) - 1 as restored from unnest(r.quarantined::int8multirange) q where q @> c.step - 1) n on true
   where not r.quarantined::int8multirange @> c.step
   order by o.scope_no, c.step, c.position
  on conflict do nothing;
  update agent_state.meta m set value = (m.value::jsonb || jsonb_build_object('after', p_after))::text where m.name = 'restore';
end $$;

-- Once all is there: what there is. Refused where somebody else wrote meanwhile.
create or replace function agent_state.count_restored()
returns table (scopes bigint, states bigint, changes bigint, tasks bigint, begun_tasks bigint) language plpgsql as $$
#variable_conflict use_column
begin
  if exists (select from agent_state.changes c where c.feed_xid <> '1'::xid8) then
    raise exception using errcode = 'PT409', message = 'RESTORE_REFUSED', detail = 'somebody wrote to main while it was restored';
  end if;
  with recursive tree as (
    select t.task_no, 0 as depth from agent_state.tasks t where t.parent_no is null
    union all
    select c.task_no, t.depth + 1 from tree t join agent_state.tasks c on c.parent_no = t.task_no)
  update agent_state.tasks t set depth = r.depth from tree r where t.task_no = r.task_no and t.depth <> r.depth;
  return query select (select count(*) from agent_state.scopes), (select count(*) from agent_state.states s where not s.deleted),
                      (select count(*) from agent_state.changes), (select count(*) from agent_state.tasks),
                      (select count(*) from agent_state.tasks t where t.attempt > 0 and t.ended_at is null);
end $$;

-- Keeps what came of it, while the copies are told.
create or replace function agent_state.report_restore(p_report text)
returns void language sql as $$
  update agent_state.meta m set value = (m.value::jsonb || jsonb_build_object('report', p_report))::text where m.name = 'restore'
$$;

-- The step that each of these scopes was restored to; 0: it was not.
create or replace function agent_state.restored_steps(p_namespace text[], p_scope text[])
returns table (namespace text, scope text, step bigint) language sql stable set enable_seqscan = off as $$
  select k.namespace, k.scope, coalesce((select max(c.step) from agent_state.scopes o join agent_state.changes c on c.scope_no = o.scope_no
                                          where o.namespace = k.namespace and o.scope = k.scope), 0)
    from unnest(p_namespace, p_scope) k(namespace, scope)
$$;

-- Ends a restore: whoever comes now may open this database.
create or replace function agent_state.finish_restore()
returns void language plpgsql as $$
begin
  insert into agent_state.meta
  select 'restored', m.value from agent_state.meta m where m.name = 'restore'
  on conflict (name) do update set value = excluded.value;
  delete from agent_state.meta m where m.name = 'restore';
  delete from agent_state.migrations m where m.number = 1000000;
end $$;
