import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortStore

/// `retort export-trajectories`
struct ExportTrajectoriesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export-trajectories", abstract: "Write trajectories for other trainers and tools.",
        discussion: """
              retort export-trajectories runs/quickstart --set teach/agent --format trl --out train.jsonl
              retort export-trajectories toolbench.jsonl --format ms-swift --form planner --out planner.jsonl
              retort export-trajectories tora.jsonl --format atif --out tora.atif.jsonl

            The source is a file of trajectories, one a line, a run's folder with a set of its store, or ToolBench's data. \
            Formats: trajectories \
            (Retort's own, nothing lost), atif (Agent Trajectory Interchange Format, nothing lost), trl, llama-factory, \
            ms-swift. The last three have forms: calls, where actions are function calls; code, the code agent's view; \
            planner, caller, summarizer, backbone, the samples of α-UMi's roles. A trajectory without an answer, or that a \
            view learns nothing from, is left out and counted.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case trajectories, atif, trl
        case llamaFactory = "llama-factory"
        case msSwift = "ms-swift"
    }

    enum Form: String, ExpressibleByArgument, CaseIterable {
        case calls, code, planner, caller, summarizer, backbone
    }

    @OptionGroup var source: TrajectorySource
    @Option(help: "The form of the file.") var format: Format
    @Option(help: "What the assistant's turns look like.") var form: Form = .calls
    @Option(help: "The file to write.") var out: String

    func run() async throws {
        let trajectories = try await source.read()
        let file = URL(fileURLWithPath: out)
        var omissions: [ChatExport.Omission] = []
        switch format {
        case .trajectories: try JSONLines.write(trajectories, to: file)
        case .atif: try ATIFExporter.write(trajectories, to: file)
        case .trl: omissions = try ChatExport(.trl, chatForm).write(trajectories, to: file)
        case .llamaFactory: omissions = try ChatExport(.llamaFactory, chatForm).write(trajectories, to: file)
        case .msSwift: omissions = try ChatExport(.msSwift, chatForm).write(trajectories, to: file)
        }
        print("\(trajectories.count - omissions.count) of \(trajectories.count) trajectories in \(file.path)")
        for (reason, left) in Dictionary(grouping: omissions, by: \.reason).sorted(by: { $0.key < $1.key }) {
            print(
                "  left out, \(left.count) times: \(reason) (\(left.prefix(3).map(\.id).joined(separator: ", "))\(left.count > 3 ? ", …" : ""))"
            )
        }
    }

    private var chatForm: ChatExport.Form {
        switch form {
        case .calls: .calls
        case .code: .view(CodeAgentView(instructions: .full, tools: []))
        case .planner: .view(RoleView(.planner, instructions: .full))
        case .caller: .view(RoleView(.caller, instructions: .full))
        case .summarizer: .view(RoleView(.summarizer, instructions: .full))
        case .backbone: .view(RoleView(.backbone, instructions: .full))
        }
    }
}
