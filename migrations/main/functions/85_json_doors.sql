-- For the Data API, each function of agent_state_api has a door that takes one JSON object and answers
-- one JSON value: `read_step_json`. The object has the function's parameters without their `p_`; the answer is
-- {"columns": [...], "rows": [[...], ...]}, each value as the text that PostgreSQL writes, documents included. So
-- 64-bit numbers keep their digits and documents their text, and no limit on rows can cut an answer.
--
-- What writes takes the whole body of a POST; what reads takes `q`, which also fits into the URL of a GET.

-- An argument that some clients and gateways encode twice.
create or replace function agent_state.unwrapped(p_json json)
returns json language sql immutable as $$
  select case json_typeof(p_json) when 'string' then (p_json #>> '{}')::json else p_json end
$$;

-- The statement that makes the door of a function. A document comes in as its text: it is cast here.
create or replace function agent_state.json_door(p_fn pg_proc)
returns text language plpgsql stable as $$
declare
  c_documents constant oid := 'json[]'::regtype;
  c_flag      constant oid := 'boolean'::regtype;
  v_fields    text;    -- what json_to_record makes of the object
  v_arguments text;    -- how that is handed on
  v_columns   text[];
  v_values    text;
begin
  select string_agg(format('%I %s', i.field, case i.type when c_documents then 'text[]' else format_type(i.type, null) end), ', ' order by i.n),
         string_agg(format('%I => ', i.name) || case when i.standard is null then i.value else format('coalesce(%s, %s)', i.value, i.standard) end,
                    ', ' order by i.n)
    into v_fields, v_arguments
    from (select a.n, a.name, a.type, substr(a.name, 3) as field, pg_get_function_arg_default(p_fn.oid, a.n::integer) as standard,
                 format('q.%I', substr(a.name, 3)) || case a.type when c_documents then '::json[]' else '' end as value
            from unnest(p_fn.proargtypes::oid[], p_fn.proargnames[:p_fn.pronargs]) with ordinality a(type, name, n)) i;

  -- PostgreSQL writes a boolean as t, and casts it to true.
  select array_agg(o.name order by o.n),
         string_agg(case o.type when c_flag then format('left(r.%I::text, 1)', o.name) else format('r.%I::text', o.name) end, ', ' order by o.n)
    into v_columns, v_values
    from (select c.name, c.type, c.n from unnest(p_fn.proargnames, p_fn.proallargtypes, p_fn.proargmodes) with ordinality c(name, type, mode, n)
           where c.mode = 't'
          union all select p_fn.proname, p_fn.prorettype, 1 where not p_fn.proretset) o;

  return format(
    'create function agent_state_api.%I(%s json) returns json language plpgsql %s security definer '
    'set search_path = pg_catalog, pg_temp set "DateStyle" = ''ISO'' set bytea_output = ''hex'' as %L',
    p_fn.proname || '_json',
    case when p_fn.provolatile = 'v' then '' else 'q' end,
    case when p_fn.provolatile = 'v' then 'volatile' else 'stable' end,
    format('begin return (select json_build_object(''columns'', %L::json, ''rows'', coalesce(json_agg(json_build_array(%s)), ''[]'')) '
           'from %s agent_state_api.%I(%s) r(%s)); end',
      to_json(v_columns), v_values,
      case when v_fields is null then '' else format('json_to_record(agent_state.unwrapped($1)) q(%s), lateral', v_fields) end,
      p_fn.proname, coalesce(v_arguments, ''), (select string_agg(quote_ident(c), ', ') from unnest(v_columns) c)));
end $$;
