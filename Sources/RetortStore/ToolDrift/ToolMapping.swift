import RetortCore

/// New names for the tools and arguments of recorded calls: `old: new`, `old.argument: argument`.
public struct ToolMapping: Sendable, Hashable {
    private var tools: [String: String] = [:]
    private var arguments: [String: [String: String]] = [:]

    /// - Parameter names: for a tool `old: new`; for an argument `tool.argument: new`, where `new` is the argument's
    ///   name or `newtool.new`. The tool before the dot has its name from the recording.
    /// - Throws: `ToolMappingError` for impossible names.
    public init(_ names: [String: String]) throws {
        for (old, new) in names.sorted(by: { $0.key < $1.key }) {
            guard !old.isEmpty, !new.isEmpty else { throw ToolMappingError.empty(old: old, new: new) }
            guard let dot = old.lastIndex(of: ".") else {
                guard !new.contains(".") else { throw ToolMappingError.notATool(old: old, new: new) }
                tools[old] = new
                continue
            }
            let (tool, argument) = (String(old[..<dot]), String(old[old.index(after: dot)...]))
            let target = new.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard !tool.isEmpty, !argument.isEmpty, !target.contains(""), let last = target.last else {
                throw ToolMappingError.empty(old: old, new: new)
            }
            arguments[tool, default: [:]][argument] = last
        }
        for (old, new) in names where old.contains(".") && new.contains(".") {
            let tool = old.prefix(upTo: old.lastIndex(of: ".") ?? old.endIndex)
            let target = new.prefix(upTo: new.lastIndex(of: ".") ?? new.endIndex)
            guard (tools[String(tool)] ?? String(tool)) == target else {
                throw ToolMappingError.otherTool(old: old, new: new)
            }
        }
        for (tool, renamed) in arguments {
            let doubled = Dictionary(grouping: renamed.values, by: \.self).first { $0.value.count > 1 }
            if let doubled { throw ToolMappingError.doubled(tool: tool, argument: doubled.key) }
        }
    }

    /// What a mapping left unchanged, although the mapping names it.
    public struct Remainder: Sendable, Hashable, Codable {
        /// The ids of trajectories with programs that name a mapped argument: in Python only the names of called
        /// functions are renamed.
        public var programs: [String] = []
        /// The ids of trajectories with calls that have both the old argument and the new one.
        public var collisions: [String] = []
    }

    /// The old names that occur neither in a call, nor in a program, nor among the described tools.
    public static func absent(_ names: [String: String], in trajectories: [Trajectory]) -> [String] {
        names.keys.filter { name in
            let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
            return !trajectories.contains { trajectory in
                trajectory.task.tools.contains { $0.name == parts[0] }
                    || trajectory.steps.contains { $0.names(parts[0], argument: parts.count > 1 ? parts[1] : nil) }
            }
        }.sorted()
    }

    /// The trajectories with the new names, and the ids of those where a name was left unchanged.
    ///
    /// Names are changed in calls, in the recorded calls of programs, in candidates, and in programs where a tool's
    /// name is called plainly (`name(`) outside strings. A changed step no longer claims to be the model's own text.
    public func applied(to trajectories: [Trajectory]) -> (trajectories: [Trajectory], left: Remainder) {
        var left = Remainder()
        return (trajectories.map { applied(to: $0, &left) }, left)
    }

    private func applied(to trajectory: Trajectory, _ left: inout Remainder) -> Trajectory {
        var copy = trajectory
        var steps: [Step] = []
        let documents = trajectory.task.tools
        if !documents.isEmpty { copy.task.tools = documents.map(renamed) }
        for step in trajectory.steps {
            var changed = step
            var hasCollision = false
            changed.action = renamed(step.action, &hasCollision)
            changed.observation = renamed(step.observation, &hasCollision)
            for index in changed.candidates.indices {
                changed.candidates[index].action = renamed(changed.candidates[index].action, &hasCollision)
                changed.candidates[index].observation = changed.candidates[index].observation.map {
                    renamed($0, &hasCollision)
                }
            }
            if hasCollision, left.collisions.last != trajectory.id { left.collisions.append(trajectory.id) }
            if case .code(let program) = step.action, namesArgument(program), left.programs.last != trajectory.id {
                left.programs.append(trajectory.id)
            }
            if changed.action != step.action {
                // The tokens and the wording contained the old names.
                changed.transcript = step.transcript == nil ? nil : .same
                changed.wording = nil
            }
            steps.append(changed)
        }
        return copy.with(steps: steps)
    }

    private func renamed(_ action: Action, _ hasCollision: inout Bool) -> Action {
        switch action {
        case .toolCall(let name, let values):
            let members = values.object.map { renamed($0, of: name, &hasCollision) }
            return .toolCall(name: tools[name] ?? name, arguments: members.map(JSONValue.object) ?? values)
        case .code(let program): return .code(ProgramCalls.renamed(program, tools))
        case .answer, .giveUp, .unparsable: return action
        }
    }

    private func renamed(_ observation: Observation, _ hasCollision: inout Bool) -> Observation {
        var copy = observation
        for index in copy.toolCalls.indices {
            let call = copy.toolCalls[index]
            copy.toolCalls[index].arguments = renamed(call.arguments, of: call.name, &hasCollision)
            copy.toolCalls[index].name = tools[call.name] ?? call.name
        }
        return copy
    }

    private func renamed(
        _ values: [String: JSONValue], of tool: String, _ hasCollision: inout Bool
    ) -> [String: JSONValue] {
        guard let names = arguments[tool] else { return values }
        var renamed: [String: JSONValue] = [:]
        for (name, value) in values {
            let new = names[name] ?? name
            // Two values cannot have the same name: the call stays as recorded.
            if renamed.updateValue(value, forKey: new) != nil {
                hasCollision = true
                return values
            }
        }
        return renamed
    }

    private func renamed(_ document: ToolDocument) -> ToolDocument {
        var copy = document
        copy.name = tools[document.name] ?? document.name
        guard let names = arguments[document.name] else { return copy }
        func renamed(_ value: JSONValue?) -> JSONValue? {
            guard let members = value?.object else { return value }
            return .object(
                Dictionary(members.map { (names[$0.key] ?? $0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
            )
        }
        copy.input = renamed(document.input) ?? document.input
        if var schema = document.schema?.object {
            schema["properties"] = renamed(schema["properties"])
            schema["required"] = schema["required"]?.array.map {
                .array($0.map { name in name.string.flatMap { names[$0] }.map(JSONValue.string) ?? name })
            }
            copy.schema = .object(schema)
        }
        return copy
    }

    /// Whether a program calls a tool with mapped arguments by one of their old names.
    private func namesArgument(_ program: String) -> Bool {
        ProgramCalls.tokens(in: program).contains { token in
            (arguments[token.name] ?? [:]).keys.contains { program.contains("\($0)=") || program.contains("\($0) =") }
        }
    }
}

extension Step {
    /// Whether the step calls a tool, with an argument where one is given; of a program it is enough to contain the name.
    fileprivate func names(_ tool: String, argument: String?) -> Bool {
        if case .code(let program) = action, program.contains(argument ?? tool) { return true }
        if case .toolCall(tool, let arguments) = action, argument.map({ arguments[$0] != nil }) ?? true { return true }
        return observation.toolCalls.contains { call in
            call.name == tool && (argument.map { call.arguments[$0] != nil } ?? true)
        }
    }
}

/// Names that cannot be mapped.
public enum ToolMappingError: Error, Equatable, CustomStringConvertible {
    /// One of the names is empty.
    case empty(old: String, new: String)
    /// A tool is mapped to an argument.
    case notATool(old: String, new: String)
    /// An argument would move to another tool.
    case otherTool(old: String, new: String)
    /// Two arguments of a tool are mapped to the same name.
    case doubled(tool: String, argument: String)
    /// Old names that no trajectory has.
    case absent(names: [String])

    /// A message for users: what is wrong, and what to do.
    public var description: String {
        switch self {
        case .empty(let old, let new): "'\(old): \(new)' maps nothing; write 'old: new' or 'tool.argument: new'"
        case .notATool(let old, let new): "'\(old): \(new)' maps a tool to an argument; write 'tool.argument: new'"
        case .otherTool(let old, let new):
            "'\(old): \(new)' would move an argument to another tool; map the tool too, or name one of its own arguments"
        case .doubled(let tool, let argument):
            "two arguments of '\(tool)' are mapped to '\(argument)'; keep one of them"
        case .absent(let names):
            "no recorded trajectory has the names \(names.map { "'\($0)'" }.joined(separator: ", ")) of 'map'; write them as "
                + "the trajectories do, or leave them out"
        }
    }
}
