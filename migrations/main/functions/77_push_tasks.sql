-- What a task is at birth: the document of its state.
create or replace function agent_state.task_document(
  p_stack text, p_kind text, p_input json, p_priority integer, p_preempt text, p_parent text, p_run_at timestamptz, p_delay_ms bigint,
  p_deadline timestamptz, p_max_attempts integer, p_supersedes text)
returns json language sql stable as $$
  select ('{' || concat_ws(',',
    '"stack":' || to_json(p_stack), '"kind":' || to_json(p_kind), '"input":' || coalesce(p_input::text, 'null'), '"priority":' || p_priority,
    '"preempt":' || to_json(p_preempt), '"parent":' || to_json(p_parent), '"runAt":' || to_json(p_run_at), '"delayMs":' || p_delay_ms,
    '"deadline":' || to_json(p_deadline), '"maxAttempts":' || p_max_attempts, '"supersedes":' || to_json(p_supersedes), '"results":[]') || '}')::json
$$;

-- Tasks that are pushed under ids of some that are gone: deleted, or taken back with the push. How those were scheduled is forgotten, but for
-- their epochs, which go on, so that who worked on one stays fenced; their receipts stay, and who is left of their children is the new one's.
create or replace function agent_state.forget_gone(p_task_no bigint[])
returns bigint[] language plpgsql as $$
declare
  v_epochs bigint[];
begin
  with gone as (
    delete from agent_state.tasks t where t.task_no = any (p_task_no) returning t.task_no, t.epoch
  ), children as (
    update agent_state.tasks c set is_told = false where c.parent_no = any (p_task_no) and c.ended_at is not null
  )
  select array_agg(f.epoch order by u.n) into v_epochs
    from unnest(p_task_no) with ordinality u(task_no, n) left join gone f on f.task_no = u.task_no;
  return v_epochs;
end $$;

-- Pushes tasks, one a position of the arrays, each with its own fate: one that is refused leaves nothing. Those for one stack arrive
-- in the order given. No id and no idempotency key may come twice in one call.
--   p_run_at, p_delay_ms  it arrives then; null: now
--   p_parent              a living task that nobody cancels, which is told its end; p_parent_epoch: only if its holder still has this epoch
-- Answers code null, REPLAYED (the task that the key pushed first) or a refusal, and the task.
create or replace function agent_state_api.push_tasks(
  p_namespace text, p_stack text[], p_id text[], p_kind text[], p_input json[], p_priority integer[], p_preempt text[], p_run_at timestamptz[],
  p_delay_ms bigint[], p_parent text[], p_parent_epoch bigint[], p_deadline timestamptz[], p_max_attempts integer[], p_backoff_ms integer[],
  p_max_backoff_ms integer[], p_supersedes text[], p_key text[], p_actor text, p_max_depth integer, p_data_bytes integer,
  p_traceparent text[] default null)
returns table (n integer, code text, detail text, id text, stack text, kind text, phase text, seq bigint, priority integer, depth integer,
               parent text, run_at timestamptz, created_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  c_children constant integer := 10000;   -- of one parent, which is told of each
  v_now    timestamptz := clock_timestamp();
  v_code   text[];
  v_detail text[];
  v_depth  integer[];
  v_parent bigint[];
  v_run_at timestamptz[];
  v_tasks  bigint[];
  v_stacks bigint[];
  v_go     integer[];   -- those that nothing speaks against yet
  v_isagain boolean;    -- whether one of them was there before, and is gone
  v_epochs bigint[];
  v_tries  integer := 0;
begin
  if exists (select from unnest(p_id) i(id) group by i.id having count(*) > 1)
     or exists (select from unnest(p_key) k(key) where k.key is not null group by k.key having count(*) > 1) then
    raise exception using errcode = 'PT400', message = 'INVALID_REQUEST', detail = 'an id or an idempotency key came twice in one call';
  end if;
  loop
    begin
      select array_agg(o.scope_no) into v_stacks from (select distinct stack from unnest(p_stack) i(stack)) i
        cross join lateral (select x.scope_no from agent_state.scopes x where x.namespace = p_namespace and x.scope = i.stack limit 1) o;
      perform from agent_state.stacks k where k.stack_no = any (v_stacks) order by k.stack_no for update;

      -- Nobody ends or cancels a parent between the look at it and the commit: its child would be missed.
      if cardinality(array_remove(p_parent, null)) > 0 then
        perform from agent_state.tasks t
          where t.task_no = any (array(select s.state_no from agent_state.states s where s.namespace = p_namespace and s.id = any (p_parent)))
          order by t.task_no for share;
      end if;

      -- What only tasks know is judged here, the rest by the commit. A key that was used says more than what became of its parent since.
      select array_agg(case when k.key is not null or i.parent is null then null when q.task_no is null then 'TASK_NOT_FOUND'
                            when q.ended_at is not null or q.phase = 'canceling' then 'TASK_ENDED' when i.parent_epoch <> q.epoch then 'EPOCH_FENCED'
                            when q.depth >= p_max_depth then 'TASK_TOO_DEEP'
                            when (select count(*) from (select from agent_state.tasks c where c.parent_no = q.task_no limit c_children) c) >= c_children
                            then 'TASK_TOO_WIDE' end order by i.n),
             array_agg(i.parent order by i.n), array_agg(coalesce(q.depth + 1, 0) order by i.n), array_agg(q.task_no order by i.n),
             -- Where it has a key its phase is part of what the key stands for, so that it may not depend on the time.
             array_agg(case when i.key is not null or coalesce(i.run_at, v_now + i.delay_ms * interval '1 ms') > v_now
                            then coalesce(i.run_at, v_now + i.delay_ms * interval '1 ms') end order by i.n)
        into v_code, v_detail, v_depth, v_parent, v_run_at
        from unnest(p_id, p_parent, p_parent_epoch, p_key, p_run_at, p_delay_ms) with ordinality i(id, parent, parent_epoch, key, run_at, delay_ms, n)
        left join lateral (select x.state_no from agent_state.states x where x.namespace = p_namespace and x.id = i.parent limit 1) s on i.parent is not null
        left join lateral (select x.* from agent_state.tasks x where x.task_no = s.state_no limit 1) q on s.state_no is not null
        left join lateral (select x.key from agent_state.idempotency_keys x where x.namespace = p_namespace and x.key = i.key limit 1) k on i.key is not null;
      select array_agg(g order by g) into v_go from generate_subscripts(v_code, 1) g where v_code[g] is null;

      if v_go is not null then
        perform set_config('agent_state.tasks', 'pushed', true);
        with committed as (
          select distinct on (b.n) v_go[b.n] as n, b.code, b.detail
            from (select array_agg(g.at order by g.at) as unit, array_agg(p_namespace order by g.at) as namespace, array_agg(p_id[g.n] order by g.at) as id,
                         array_agg('task'::text order by g.at) as type, array_agg(p_stack[g.n] order by g.at) as stack, array_agg('u'::text order by g.at) as op,
                         array_agg(agent_state.task_document(p_stack[g.n], p_kind[g.n], p_input[g.n], p_priority[g.n], p_preempt[g.n], p_parent[g.n],
                           p_run_at[g.n], p_delay_ms[g.n], p_deadline[g.n], p_max_attempts[g.n], p_supersedes[g.n]) order by g.at) as body,
                         array_agg(case when v_run_at[g.n] is null then 'ready' else 'submitted' end order by g.at) as phase,
                         array_agg(0::bigint order by g.at) as expected, array_agg(p_actor order by g.at) as actor,
                         array_agg('pushed'::text order by g.at) as cause, array_agg(p_key[g.n] order by g.at) as key, array_agg(p_traceparent[g.n] order by g.at) as traceparent
                    from unnest(v_go) with ordinality g(n, at)) a,
                 agent_state_api.commit_batch(a.unit::integer[], a.namespace, a.id, a.type, a.stack, a.op, a.body, a.phase, a.expected, null, null, a.actor,
                                              a.cause, case when cardinality(array_remove(p_key, null)) > 0 then a.key end, null, p_data_bytes, p_traceparent => a.traceparent)
                   with ordinality b(n, code, detail, type, scope, version, step, phase, digest, created, at, place, nth)
           order by b.n, b.nth desc)
        select array_agg(coalesce(c.code, o.code) order by o.n), array_agg(coalesce(c.detail, o.detail) order by o.n) into v_code, v_detail
          from unnest(v_code, v_detail) with ordinality o(code, detail, n) left join committed c on c.n = o.n;
        perform set_config('agent_state.tasks', '', true);

        select array_agg(s.state_no order by g.at), array_agg(s.scope_no order by g.at), array_agg(g.n order by g.at), bool_or(s.version > 1)
          into v_tasks, v_stacks, v_go, v_isagain
          from unnest(v_go) with ordinality g(n, at)
          cross join lateral (select x.state_no, x.scope_no, x.version from agent_state.states x where x.namespace = p_namespace and x.id = p_id[g.n] limit 1) s
         where v_code[g.n] is null;
        insert into agent_state.stacks (stack_no, namespace)
        select distinct u.stack_no, p_namespace from unnest(v_stacks) u(stack_no)
         where not exists (select from agent_state.stacks k where k.stack_no = u.stack_no) order by 1
        on conflict do nothing;
        v_epochs := case when v_isagain then agent_state.forget_gone(v_tasks) end;
        insert into agent_state.tasks (task_no, stack_no, seq, turn, epoch, parent_no, run_at, deadline, priority, depth, max_attempts, backoff_ms,
                                       max_backoff_ms, preempt, phase, kind)
        select q.task_no, q.stack_no, q.seq, q.seq, coalesce(q.epoch, 0), v_parent[q.n], v_run_at[q.n], p_deadline[q.n], p_priority[q.n],
               v_depth[q.n], p_max_attempts[q.n], p_backoff_ms[q.n], p_max_backoff_ms[q.n], p_preempt[q.n],
               case when v_run_at[q.n] is null then 'ready' else 'submitted' end, p_kind[q.n]
          from (select i.*, case when v_run_at[i.n] is null then nextval('agent_state.task_seq') end as seq
                  from unnest(v_tasks, v_stacks, v_go, v_epochs) i(task_no, stack_no, n, epoch) offset 0) q;
        perform agent_state.follow_up(v_stacks, null, null, p_actor);
        if v_isagain then perform agent_state.reconcile_tasks(1000); end if;
      end if;

      return query
      select i.n::integer, v_code[i.n], v_detail[i.n], coalesce(s.id, i.id), i.stack, coalesce(t.kind, i.kind), s.phase, t.seq, t.priority, t.depth, i.parent,
             t.run_at, s.created_at
        from unnest(p_id, p_stack, p_kind, p_parent, p_key) with ordinality i(id, stack, kind, parent, key, n)
        left join lateral (select c.state_no from agent_state.idempotency_keys k
                             join agent_state.changes c on c.scope_no = k.scope_no and c.step = k.step and c.position = 0
                            where v_code[i.n] = 'REPLAYED' and k.namespace = p_namespace and k.key = i.key) r on true
        left join lateral (select x.state_no, x.id, x.phase, x.created_at from agent_state.states x
                            where v_code[i.n] is null and x.namespace = p_namespace and x.id = i.id
                           union all
                           select x.state_no, x.id, x.phase, x.created_at from agent_state.states x where x.state_no = r.state_no) s on true
        left join lateral (select x.* from agent_state.tasks x where x.task_no = s.state_no limit 1) t on true;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
