-- The process is gone in which a worker worked: what it held is taken from it at once, as if its lease had run out. p_worker names it, or
-- the host whose processes are called HOST.PID. Only those that were not heard of after p_before: another one may work under that name by now.
create or replace function agent_state_api.end_leases(p_namespace text, p_worker text, p_before timestamptz)
returns table (taken_over integer)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_workers bigint[];
  v_tries   integer := 0;
begin
  loop
    begin
      with ended as (
        update agent_state.workers w set lease_until = clock_timestamp()
         where w.namespace = p_namespace and (w.worker = p_worker or w.worker > p_worker || '.' and w.worker < p_worker || '/')
           and w.lease_until > clock_timestamp() and w.lease_until - w.lease_ms * interval '1 ms' <= p_before
        returning w.worker_no)
      select array_agg(e.worker_no order by e.worker_no) into v_workers from ended e;
      taken_over := (select o.taken from agent_state.take_over(v_workers) o);
      return next;
      return;
    exception when unique_violation or deadlock_detected or sqlstate 'PT503' then
      v_tries := v_tries + 1;
      perform agent_state.try_again(v_tries);
    end;
  end loop;
end $$;
