-- Whether somebody holds the lease with this epoch. Until the transaction ends nobody else can take it.
create or replace function agent_state.holds_lease(p_epoch bigint)
returns boolean language plpgsql as $$
begin
  perform from agent_state.follower f where f.epoch = p_epoch and f.until > clock_timestamp() for update;
  return found;
end $$;

-- Takes or renews the lease of the one follower, by this database's clock; `mine` says whether it was free. Where it stands.
create or replace function agent_state_api.take_lease(p_holder text, p_ttl_ms integer)
returns table (mine boolean, epoch bigint, lineage text, xid bigint, scope_no bigint, step bigint, "position" integer, walk json)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_now timestamptz := clock_timestamp();
begin
  update agent_state.follower f set
      epoch = f.epoch + case when f.holder = p_holder and f.until > v_now then 0 else 1 end,
      holder = p_holder, until = clock_timestamp() + make_interval(secs => p_ttl_ms / 1000.0)
    where f.holder = p_holder or f.until <= clock_timestamp();
  mine := found;
  return query select mine, f.epoch, f.lineage, f.xid, f.scope_no, f.step, f.position, f.walk from agent_state.follower f;
end $$;

-- Gives the lease back, so that the next one need not wait for its end.
create or replace function agent_state_api.release_lease(p_epoch bigint)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update agent_state.follower f set until = '-infinity' where f.epoch = p_epoch;
  return found;
end $$;

-- Begins with a main, or with another history of it: first a walk over all of its scopes, then its feed from this
-- position on. What is here stays. False: the lease was lost.
create or replace function agent_state_api.begin_following(
  p_epoch bigint, p_lineage text, p_xid bigint, p_scope_no bigint, p_step bigint, p_position integer)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not agent_state.holds_lease(p_epoch) then return false; end if;
  update agent_state.follower f set
      lineage = p_lineage, xid = p_xid, scope_no = p_scope_no, step = p_step, position = p_position, settled_at = null,
      walk = '{}', walk_began = clock_timestamp()
    where f.only_one;
  return true;
end $$;
