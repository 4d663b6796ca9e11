-- The numbers of stacks, of those that there are.
create or replace function agent_state.stack_numbers(p_namespace text, p_stacks text[])
returns bigint[] language plpgsql stable as $$
begin
  return (select coalesce(array_agg(o.scope_no), '{}') from unnest(p_stacks) i(stack)
           cross join lateral (select x.scope_no from agent_state.scopes x where x.namespace = p_namespace and x.scope = i.stack limit 1) o);
end $$;

-- Makes a worker known, or renews its lease where less than half of it is left; returns its number. What it held past its
-- lease is no longer its own.
create or replace function agent_state.know_worker(p_namespace text, p_worker text, p_incarnation text, p_lease_ms integer, p_renew boolean)
returns bigint language plpgsql as $$
declare
  v_worker agent_state.workers;
  v_now    timestamptz := clock_timestamp();
begin
  select * into v_worker from agent_state.workers w where w.namespace = p_namespace and w.worker = p_worker and w.incarnation = p_incarnation;
  if found and v_worker.lease_until > v_now + p_lease_ms * interval '0.5 ms' and not p_renew then return v_worker.worker_no; end if;
  if v_worker.lease_until <= v_now then perform agent_state.empty_hands(v_worker); end if;
  insert into agent_state.workers as w (namespace, worker, incarnation, lease_ms, lease_until)
  values (p_namespace, p_worker, p_incarnation, p_lease_ms, clock_timestamp() + p_lease_ms * interval '1 ms')
  on conflict (namespace, worker, incarnation) do update set lease_ms = excluded.lease_ms, lease_until = excluded.lease_until, ended_at = null
    where w.lease_until > clock_timestamp() or v_worker.lease_until <= v_now
  returning * into v_worker;
  -- It ran out since it was read. It is never renewed with what it held: its holder may have been told already that it lost that.
  if not found then
    select * into v_worker from agent_state.workers w where w.namespace = p_namespace and w.worker = p_worker and w.incarnation = p_incarnation;
    perform agent_state.empty_hands(v_worker);
    update agent_state.workers w set lease_ms = p_lease_ms, lease_until = clock_timestamp() + p_lease_ms * interval '1 ms', ended_at = null
     where w.worker_no = v_worker.worker_no;
  end if;
  return v_worker.worker_no;
end $$;

-- Claims the next task of up to so many stacks, the one that waited longest first. Stacks that somebody is busy with are passed by.
-- p_stack_no null: any; p_kinds null: of any kind. Whoever calls looks again where it raises unique_violation or PT503.
create or replace function agent_state.claim_next(
  p_namespace text, p_worker_no bigint, p_stack_no bigint[], p_kinds text[], p_limit integer, p_worker text)
returns bigint[] language plpgsql as $$
declare
  v_stacks bigint[];
  v_tasks  bigint[];
  v_deltas json[];
  v_tops   integer;
begin
  if p_limit <= 0 then return null; end if;
  if p_stack_no is not null then
    select array_agg(l.stack_no) into v_stacks
      from (select k.stack_no from agent_state.stacks k
             where k.stack_no = any (p_stack_no) and k.ready_since is not null and (p_kinds is null or k.ready_kind = any (p_kinds))
               and not exists (select from agent_state.holds h where h.scope_no = k.stack_no)
             order by k.ready_since limit p_limit for update of k skip locked) l;
  elsif p_kinds is not null then
    -- Kind by kind, each in the order of its index; what is locked beyond the limit is let go with the commit.
    select array_agg(l.stack_no) into v_stacks
      from (select k.stack_no from unnest(p_kinds) i(kind), lateral (
                   select k.stack_no, k.ready_since from agent_state.stacks k
                    where k.namespace = p_namespace and k.ready_kind = i.kind and k.ready_since is not null
                      and not exists (select from agent_state.holds h where h.scope_no = k.stack_no)
                    order by k.ready_since limit p_limit for update of k skip locked) k
             order by k.ready_since limit p_limit) l;
  else
    select array_agg(l.stack_no) into v_stacks
      from (select k.stack_no from agent_state.stacks k
             where k.namespace = p_namespace and k.ready_since is not null
               and not exists (select from agent_state.holds h where h.scope_no = k.stack_no)
             order by k.ready_since limit p_limit for update of k skip locked) l;
  end if;
  if v_stacks is null then return null; end if;

  -- A statement of its own: it sees what was committed before the stacks were locked.
  with top as materialized (
    select k.stack_no, k.place as stack_place, t.task_no, t.place
      from unnest(v_stacks) u(stack_no)
      join lateral (select x.stack_no, x.ctid as place from agent_state.stacks x
                     where x.stack_no = u.stack_no and x.ready_since is not null and x.working_no is null limit 1) k on true
      join lateral (select x.task_no, x.ctid as place, x.phase, x.kind from agent_state.tasks x where x.stack_no = k.stack_no and x.turn is not null
                     order by x.stack_no desc, x.priority desc, x.turn desc limit 1) t on t.phase = 'ready' and (p_kinds is null or t.kind = any (p_kinds))
  ), claimed as (
    update agent_state.tasks t set phase = 'working', turn = null, worker_no = p_worker_no, epoch = t.epoch + 1,
           attempt = t.attempt + case when t.is_resumed then 0 else 1 end, is_resumed = false, last_report = null
      from top where t.ctid = top.place
    returning t.task_no, t.stack_no, t.epoch, t.attempt
  ), taken as (
    update agent_state.stacks k set working_no = top.task_no, ready_kind = null, ready_since = null from top where k.ctid = top.stack_place
  )
  select array_agg(c.task_no order by c.stack_no), array_agg(agent_state.claim_delta(c.epoch, c.attempt, p_worker) order by c.stack_no),
         (select count(*) from top)
    into v_tasks, v_deltas, v_tops from claimed c;
  if v_tasks is null then return null; end if;
  if cardinality(v_tasks) <> v_tops then perform agent_state.lost_race(); end if;
  perform agent_state.write_tasks(v_tasks, array_fill('working'::text, array[v_tops]), v_deltas, array_fill('claimed'::text, array[v_tops]), p_worker);
  return v_tasks;
end $$;

-- What a claim makes of a document.
create or replace function agent_state.claim_delta(p_epoch bigint, p_attempt integer, p_worker text)
returns json language sql stable as $$
  select json_build_object('m', json_build_object('epoch', p_epoch::text, 'attempt', p_attempt, 'worker', p_worker))
$$;

-- Claims up to p_limit tasks for a worker, one a stack: of each stack the highest, `(priority desc, seq desc)`. The worker's lease
-- begins, or goes on.
create or replace function agent_state_api.claim_tasks(
  p_namespace text, p_worker text, p_incarnation text, p_lease_ms integer, p_stacks text[], p_kinds text[], p_limit integer)
returns table (id text, stack text, kind text, phase text, seq bigint, priority integer, depth integer, parent text, epoch bigint, attempt integer,
               deadline timestamptz, lease_until timestamptz, created_at timestamptz, document json)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_stacks  bigint[];
  v_worker  bigint;
  v_claimed bigint[];
  v_tries   integer := 0;
begin
  if cardinality(p_stacks) > 0 then
    v_stacks := agent_state.stack_numbers(p_namespace, p_stacks);
  end if;
  loop
    begin
      v_worker := agent_state.know_worker(p_namespace, p_worker, p_incarnation, p_lease_ms, false);
      v_claimed := agent_state.claim_next(p_namespace, v_worker, v_stacks, case when cardinality(p_kinds) > 0 then p_kinds end, p_limit, p_worker);
      if v_claimed is null then return; end if;
      return query select * from agent_state.claimed_tasks(v_claimed);
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;

-- Tasks as their worker is given them.
create or replace function agent_state.claimed_tasks(p_task_no bigint[])
returns table (id text, stack text, kind text, phase text, seq bigint, priority integer, depth integer, parent text, epoch bigint, attempt integer,
               deadline timestamptz, lease_until timestamptz, created_at timestamptz, document json)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select s.id, coalesce(s.scope, s.id), t.kind, t.phase, t.seq, t.priority, t.depth, q.id, t.epoch, t.attempt, t.deadline, w.lease_until, s.created_at,
         -- A first claim, which is in other columns here, need not be put together with the document that was pushed.
         case when s.base_version >= s.version - 1
              then (select c.body from agent_state.changes c where c.state_no = s.state_no and c.version = s.base_version)
              else agent_state.document(s.state_no, s.version) end
    from unnest(p_task_no) u(task_no)
    cross join lateral (select x.task_no, x.kind, x.phase, x.seq, x.priority, x.depth, x.parent_no, x.epoch, x.attempt, x.deadline, x.worker_no
                          from agent_state.tasks x where x.task_no = u.task_no limit 1) t
    cross join lateral (select x.state_no, x.id, x.scope, x.version, x.base_version, x.created_at
                          from agent_state.states x where x.state_no = u.task_no limit 1) s
    left join lateral (select x.lease_until from agent_state.workers x where x.worker_no = t.worker_no limit 1) w on true
    left join lateral (select x.id from agent_state.states x where x.state_no = t.parent_no limit 1) q on t.parent_no is not null
   order by s.state_no;
end $$;
