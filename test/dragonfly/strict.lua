-- Runs SCRIPT (its text) once for each write of each of CASES ({ { argv, ... }, ... }), as a server would that lets a
-- script see its keys and arguments, call the commands that are declared here on them, and nothing else.
local store = {}

local function strict(what, values)
  return setmetatable({}, {
    __index = function(_, name)
      if values[name] == nil then
        error(what .. " has no " .. tostring(name), 2)
      end
      return values[name]
    end,
    __newindex = function(_, name)
      error(what .. " may not be given " .. tostring(name), 2)
    end,
  })
end

local commands = {}

function commands.GETRANGE(key, from, to)
  return string.sub(store[key] or "", from + 1, to + 1)
end

function commands.SET(key, value, option, ms)
  if option ~= "PX" or not string.match(ms or "", "^[1-9]%d*$") then
    error("SET without its time", 3)
  end
  store[key] = value
  return { ok = "OK" }
end

-- Servers take strings and numbers, and refuse the rest.
local function words(...)
  local all = {}
  for index = 1, select("#", ...) do
    local value = select(index, ...)
    if type(value) ~= "string" and type(value) ~= "number" then
      error("a command takes no " .. type(value), 3)
    end
    all[index] = type(value) == "number" and string.format("%.17g", value) or value
  end
  return all
end

local function environment(key, argv)
  local function call(name, at, ...)
    if not commands[name] then
      error("there is no command " .. tostring(name), 2)
    end
    if at ~= key then
      error("undeclared key " .. tostring(at), 2)
    end
    local given = words(...)
    return commands[name](key, given[1], given[2], given[3])
  end
  return strict("the script", {
    redis = strict("redis", { call = call }),
    KEYS = strict("KEYS", { key }),
    ARGV = strict("ARGV", argv),
    string = string,
  })
end

local function run(key, argv)
  local globals = environment(key, argv)
  if setfenv then -- Lua 5.1
    return setfenv(assert(loadstring(SCRIPT, "=script")), globals)()
  end
  return assert(load(SCRIPT, "=script", "t", globals))()
end

local function hex(text)
  return (string.gsub(text, ".", function(letter)
    return string.format("%02x", string.byte(letter))
  end))
end

print(_VERSION)
for at, writes in ipairs(CASES) do
  local key = "key " .. at
  local told = {}
  for index, argv in ipairs(writes) do
    local isFine, answer = pcall(run, key, argv)
    told[index] = isFine and string.format("%d", answer) or "error: " .. tostring(answer)
  end
  print(table.concat(told, ",") .. "|" .. hex(store[key] or ""))
end
