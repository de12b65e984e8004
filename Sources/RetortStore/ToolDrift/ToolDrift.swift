import RetortCore

/// How the calls of recorded trajectories differ from the available tools: other names, other arguments.
///
/// ```swift
/// let drift = ToolDrift(trajectories, tools: domain.tools)
/// print(drift)                                              // which calls name what is not there, and how often
/// let (mapped, left) = try ToolMapping(["find": "search", "find.q": "query"]).applied(to: trajectories)
/// ```
public struct ToolDrift: Sendable, Hashable, Codable {
    /// A name that differs between the calls and the tools.
    public struct Stray: Sendable, Hashable, Codable {
        /// How a call differs from the tools.
        public enum Kind: String, Sendable, Hashable, Codable {
            /// There is no such tool.
            case tool
            /// The tool has no such argument.
            case argument
            /// The tool needs an argument that the call lacks.
            case missing
        }

        /// How the calls differ.
        public let kind: Kind
        /// The tool's name; for an argument `tool.argument`.
        public let name: String
        /// The number of calls.
        public let calls: Int
        /// The ids of the first five trajectories with such calls.
        public let trajectories: [String]
    }

    /// The names that differ, the most frequent first.
    public let strays: [Stray]
    /// The number of calls examined.
    public let calls: Int
    /// The names of the tools.
    public let tools: [String]

    private struct Key: Hashable {
        let kind: Stray.Kind
        let name: String
    }

    /// - Parameters:
    ///   - trajectories: the calls examined are those of steps, and those that programs made where these are recorded.
    ///     In a program whose calls are not recorded, only the names are examined that it calls and does not define.
    ///   - builtIn: names that programs may call in addition to the tools and Python's own.
    public init(
        _ trajectories: some Sequence<Trajectory>, tools specifications: [ToolSpecification],
        builtIn: Set<String> = ["final_answer"]
    ) {
        let known = Dictionary(specifications.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var found: [Key: (calls: Int, trajectories: [String])] = [:]
        var count = 0
        for trajectory in trajectories {
            func note(_ kind: Stray.Kind, _ name: String) {
                var entry = found[Key(kind: kind, name: name)] ?? (0, [])
                entry.calls += 1
                if entry.trajectories.last != trajectory.id, entry.trajectories.count < Self.shown {
                    entry.trajectories.append(trajectory.id)
                }
                found[Key(kind: kind, name: name)] = entry
            }
            for step in trajectory.steps {
                for (name, arguments) in step.calls {
                    count += 1
                    guard let tool = known[name] else {
                        if !builtIn.contains(name) { note(.tool, name) }
                        continue
                    }
                    let parameters = Set(tool.parameters.map(\.name))
                    for argument in arguments.keys where !parameters.contains(argument) {
                        note(.argument, "\(name).\(argument)")
                    }
                    for parameter in tool.parameters where parameter.isRequired && arguments[parameter.name] == nil {
                        note(.missing, "\(name).\(parameter.name)")
                    }
                }
                if case .code(let program) = step.action, step.observation.toolCalls.isEmpty {
                    for name in ProgramCalls.unknown(in: program) where known[name] == nil && !builtIn.contains(name) {
                        count += 1
                        note(.tool, name)
                    }
                }
            }
        }
        strays = found.map {
            Stray(kind: $0.key.kind, name: $0.key.name, calls: $0.value.calls, trajectories: $0.value.trajectories)
        }.sorted { ($1.calls, $0.name, $0.kind.rawValue) < ($0.calls, $1.name, $1.kind.rawValue) }
        calls = count
        tools = specifications.map(\.name)
    }

    private static let shown = 5

    /// Whether every call fits the tools.
    public var isEmpty: Bool { strays.isEmpty }
}

extension ToolDrift: CustomStringConvertible {
    /// One line for each name, with an example of a mapping.
    public var description: String {
        guard !isEmpty else { return "all \(calls) calls fit the tools" }
        let lines = strays.map { stray in
            let what =
                switch stray.kind {
                case .tool: "there is no tool '\(stray.name)'"
                case .argument: "there is no argument '\(stray.name)'"
                case .missing: "the argument '\(stray.name)' is missing"
                }
            return "  \(what), in \(stray.calls) calls (\(stray.trajectories.joined(separator: ", ")))"
        }
        let example = strays.first { $0.kind != .missing }.map { "; map them, such as '\($0.name): …'" } ?? ""
        return (["calls do not fit the tools (\(tools.joined(separator: ", ")))\(example)"] + lines)
            .joined(separator: "\n")
    }
}

extension Step {
    /// The calls that a step made: its own call, or those of its program.
    var calls: [(name: String, arguments: [String: JSONValue])] {
        if case .toolCall(let name, let arguments) = action { return [(name, arguments.object ?? [:])] }
        return observation.toolCalls.map { ($0.name, $0.arguments) }
    }
}
