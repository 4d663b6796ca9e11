-- Forgets what scheduling knows of tasks that ended before a moment, with the receipts of what they did outside. Their states stay, and say what they were
-- and how they ended. Looks at p_limit of the tasks after a number, the oldest first; answers how many it forgot, and the last that it looked at: null where
-- no older one is left, or another process is at it.
-- Kept: a child whose parent lives, for that may ask for its result; a parent of children that are still known.
create or replace function agent_state_api.prune_tasks(p_after bigint, p_before timestamptz, p_limit integer)
returns table (forgotten integer, last bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_old  bigint[];
  v_page bigint;
  v_isold boolean;
begin
  forgotten := 0;
  if not pg_try_advisory_xact_lock(hashtext('agent_state.prune_tasks')) then return next; return; end if;
  select count(*), max(p.task_no), bool_or(s.created_at < p_before),
         array_agg(p.task_no) filter (where p.ended_at < p_before)
    into v_page, last, v_isold, v_old
    from (select t.task_no, t.ended_at from agent_state.tasks t where t.task_no > p_after order by t.task_no limit p_limit) p
    join agent_state.states s on s.state_no = p.task_no;
  if v_page < p_limit or not v_isold then last := null; end if;
  if v_old is null then return next; return; end if;

  -- Under the locks of their stacks: a rollback may be about to make another one of what ended. Who is busy is passed by.
  select array_agg(o.task_no) into v_old
    from (select t.task_no from unnest(v_old) u(task_no) join agent_state.tasks t on t.task_no = u.task_no
            join agent_state.stacks k on k.stack_no = t.stack_no
           where not exists (select from agent_state.holds h where h.scope_no = t.stack_no)
             and not exists (select from agent_state.tasks q where q.task_no = t.parent_no and q.ended_at is null)
             and not exists (select from agent_state.tasks c where c.parent_no = t.task_no)
           for update of k skip locked) o;
  delete from agent_state.effects e where e.task_no = any (v_old);
  delete from agent_state.tasks t where t.task_no = any (v_old);
  get diagnostics forgotten = row_count;
  return next;
end $$;
