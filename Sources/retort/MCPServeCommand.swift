import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortMCP
import RetortRecipes
import RetortServer

/// `retort mcp serve`, the default of `retort mcp`.
struct MCPServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Offer agents as tools that answer a question.",
        discussion: """
            Each agent is one tool: 'ask', or 'ask_STUDENT' if there are several. Its argument is 'question', its \
            result the answer; each step is reported as progress. It uses standard input and output by default, as \
            assistants start their servers:

              {"mcpServers": {"retort": {"command": "retort", "args": ["mcp", "/path/to/runs/quickstart"]}}}

            With --http it serves http://127.0.0.1:PORT/mcp to this machine.
            """)

    @Argument(help: "An agent's folder, or a run, of which all agents that act are offered.") var place: String
    @Option(help: "Sample this many actions per step and let them vote; 1 disables voting.") var votes: Int?
    @Flag(help: "Serve over HTTP instead of standard input and output.") var http = false
    @Option(help: "The port of --http; 0 takes any free one.") var port = 8931
    @Option(help: "The longest that an answer may take, in seconds.") var seconds = 600.0
    @Option(help: "The most questions of a client at once.") var maximumRunning = 4
    @OptionGroup var which: AgentOptions

    func validate() throws {
        if let votes, !(1...64).contains(votes) { throw ValidationError("--votes must be 1 to 64") }
        guard (0...65535).contains(port) else { throw ValidationError("--port must be 0 to 65535") }
        guard seconds > 0 else { throw ValidationError("--seconds must be above 0") }
        guard maximumRunning > 0 else { throw ValidationError("--maximum-running must be at least 1") }
    }

    func run() async throws {
        // From here on standard output belongs to the protocol; everything else is printed to standard error.
        let output = http ? STDOUT_FILENO : dup(STDOUT_FILENO)
        if !http {
            dup2(STDERR_FILENO, STDOUT_FILENO)
            signal(SIGPIPE, SIG_IGN)
        }
        let agents = try await opened()
        var limits = MCPServer.Limits()
        (limits.callSeconds, limits.maximumCalls) = (seconds, maximumRunning)
        let server = try MCPServer(
            name: "retort", instructions: "Agents that work on one question at a time, with tools of their own.",
            tools: agents.map { Self.tool($0.name, $0.agent, $0.rollout) }, limits: limits)
        guard http else { return try await MCPStdioServer(server, input: STDIN_FILENO, output: output).run() }
        try await MCPHTTPServer(server, port: port) { port in
            let names = agents.map(\.name).joined(separator: ", ")
            FileHandle.standardOutput.write(Data("Serving \(names) at http://127.0.0.1:\(port)/mcp\n".utf8))
        }.run()
    }

    /// The selected agents, by the names of their tools.
    private func opened() async throws -> [(name: String, agent: Agent, rollout: Rollout)] {
        let chosen = try AgentPlaces(URL(fileURLWithPath: place)).chosen(student: which.student, system: which.system)
        let group = try await AgentGroup(contentsOf: chosen.map(\.agent.folder), options: which.opening())
        return try zip(group.agents, chosen).map { agent, chosen in
            var way = chosen.way
            if let votes { way.votes = votes }
            let name = group.agents.count == 1 ? "ask" : Self.name(of: agent, among: group.agents)
            return (name, agent, try agent.rollout(way))
        }
    }

    /// A student that learned to be an agent in several ways has a tool for each.
    private static func name(of agent: Agent, among all: [Agent]) -> String {
        let isAlone = all.filter { $0.student == agent.student }.count == 1
        let name = "ask_\(agent.student)\(isAlone ? "" : "_\(agent.system)")"
        return String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) ? $0 : "_" })
    }

    private static func tool(_ name: String, _ agent: Agent, _ rollout: Rollout) -> MCPServerTool {
        MCPServerTool(
            name: name, summary: "Works on a question step by step and gives a short answer (agent '\(agent.title)').",
            inputSchema: [
                "type": "object", "required": ["question"], "additionalProperties": false,
                "properties": [
                    "question": ["type": "string", "minLength": 1, "description": "What is to be answered."]
                ],
            ],
            outputSchema: [
                "type": "object", "required": ["answer"],
                "properties": ["answer": ["type": "string"], "steps": ["type": "integer"]],
            ]
        ) { arguments, reporter in
            try await answer(agent.task(arguments["question"]?.string ?? ""), rollout, reporter)
        }
    }

    private static func answer(
        _ task: AgentTask, _ rollout: Rollout, _ reporter: MCPReporter
    ) async throws -> MCPResult {
        var steps = 0
        for try await event in rollout.run(task) {
            switch event {
            case .stepFinished(let step):
                steps += 1
                await reporter.report(MCPProgress(progress: Double(steps), message: words(on: step)))
            case .finished(let trajectory):
                if case .failed(let reason) = trajectory.ending { throw AgentRunError(reason: reason) }
                guard let answer = trajectory.answer else { return .failure("the agent came to no answer") }
                return .text(answer, structured: ["answer": .string(answer), "steps": .integer(steps)])
            case .stepStarted, .text: break
            }
        }
        throw CancellationError()
    }

    /// A summary of a step in one or two lines.
    private static func words(on step: Step) -> String {
        let words = [step.thought, step.action.code ?? ""].first { !$0.isEmpty } ?? "a step"
        return String(words.prefix(400))
    }
}
