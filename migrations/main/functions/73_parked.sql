-- Keeps a message that can never be applied. False: there is no room for it (p_messages and p_bytes in all), so it stays where it is.
-- The same message again only counts an attempt.
create or replace function agent_state_api.park_message(
  p_topic text, p_message_id text, p_namespace text, p_group text, p_code text, p_detail text, p_body text,
  p_messages_limit integer, p_bytes_limit bigint)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_body bytea := decode(p_body, 'base64');
begin
  update agent_state.parked_messages m set attempts = m.attempts + 1, tried_at = clock_timestamp(), code = p_code, detail = p_detail
   where m.topic = p_topic and m.message_id = p_message_id;
  if found then return true; end if;
  perform pg_advisory_xact_lock(hashtextextended('agent_state.parked_messages', 0));
  if exists (select from (select count(*) as messages, coalesce(sum(octet_length(m.body)), 0) as bytes from agent_state.parked_messages m) t
              where t.messages >= p_messages_limit or t.bytes + octet_length(v_body) > p_bytes_limit) then
    return false;
  end if;
  insert into agent_state.parked_messages (topic, message_id, namespace, message_group, code, detail, parked_at, tried_at, body)
  values (p_topic, p_message_id, p_namespace, p_group, p_code, p_detail, clock_timestamp(), clock_timestamp(), v_body)
  on conflict (topic, message_id) do nothing;
  return true;
end $$;

-- Parked messages of a namespace (null: of all), the oldest first; one of them by its number, with its body.
create or replace function agent_state_api.read_parked(p_namespace text, p_parked_no bigint, p_after bigint, p_limit integer)
returns table (parked_no bigint, topic text, message_id text, namespace text, message_group text, code text, detail text, attempts integer,
               bytes integer, parked_at timestamptz, tried_at timestamptz, body text)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  select m.parked_no, m.topic, m.message_id, m.namespace, m.message_group, m.code, m.detail, m.attempts, octet_length(m.body), m.parked_at, m.tried_at,
         case when p_parked_no is not null then encode(m.body, 'base64') end
    from agent_state.parked_messages m
   where (p_namespace is null or m.namespace = p_namespace) and (p_parked_no is null or m.parked_no = p_parked_no) and m.parked_no > p_after
   order by m.parked_no limit p_limit;
end $$;

-- Forgets a parked message: it was applied after all, or nobody wants it. False: it was not there.
create or replace function agent_state_api.drop_parked(p_namespace text, p_parked_no bigint)
returns boolean language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from agent_state.parked_messages m where m.parked_no = p_parked_no and (p_namespace is null or m.namespace = p_namespace);
  return found;
end $$;

-- How many are parked, and how many bytes of them are kept.
create or replace function agent_state_api.parked_figures()
returns table (messages bigint, bytes bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(sum(octet_length(m.body)), 0) from agent_state.parked_messages m
$$;
