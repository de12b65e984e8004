import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes
import RetortTensor

/// The command line.
@main
struct RetortCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retort",
        abstract: "Distils tool-using LLM agents into small models, and runs them.",
        discussion: """
            A recipe says who teaches, which students learn, and what is measured:

              retort new shop                        a small domain that works at once
              retort check shop                      whether it is ready to be run
              retort run recipes/quickstart.yaml     collect, train, evaluate, report
              retort plan recipes/quickstart.yaml    what a run would do, and why
              retort ask runs/quickstart "Who …?"    watch the distilled student work
              retort chat runs/quickstart            talk to it: stop it, go back, take another way
              retort inspect runs/quickstart         what a run holds
              retort studio runs                     runs and trajectories in a browser
              retort serve runs/quickstart           its models and agents, as a server
              retort mcp runs/quickstart             its agents as tools, for MCP clients

            A run that was killed continues where it was when it is started again.
            """,
        version: CommandLine.arguments.contains("--version") ? VersionLine.text : Retort.version,
        subcommands: [
            NewCommand.self,
            CheckCommand.self,
            KeysCommand.self,
            RunCommand.self,
            PlanCommand.self,
            RolloutCommand.self,
            TrainCommand.self,
            WorkerCommand.self,
            FleetCommand.self,
            EvaluateCommand.self,
            GradeCommand.self,
            BenchmarksCommand.self,
            AskCommand.self,
            StudioCommand.self,
            ChatCommand.self,
            MakeTasksCommand.self,
            InspectCommand.self,
            DoctorCommand.self,
            ServeCommand.self,
            ServeAPIsCommand.self,
            FetchCommand.self,
            ModelsCommand.self,
            RecordCommand.self,
            MCPCommand.self,
            ImportCommand.self,
            ExportTrajectoriesCommand.self,
            SplitCommand.self,
            ExportCommand.self,
            PretrainCommand.self,
            TokenizeCommand.self,
            EmbedCommand.self,
            RenderCommand.self,
            ServePassagesCommand.self,
            IndexCommand.self,
            WorldCommand.self,
            LogitsCommand.self,
        ])

    /// Parses and runs the command, exits with code 130 when interrupted, and prints errors without Swift's
    /// decoration.
    static func main() async {
        ComputeThreads.restartWithSleepingWaits()
        let interrupt = InterruptHandler.shared
        let telemetry = Telemetry()
        do {
            let work = Task {
                var command = try parseAsRoot()
                if var asynchronous = command as? any AsyncParsableCommand {
                    try await asynchronous.run()
                } else {
                    try command.run()
                }
            }
            interrupt.cancels { work.cancel() }
            try await work.value
            await telemetry.end()
            InterruptHandler.end(0)
        } catch is CancellationError {
            await telemetry.end(within: 2)
            InterruptHandler.interrupted()
        } catch {
            let message = FileFault.words(error).map { "Error: \($0)" } ?? fullMessage(for: error)
            let code = exitCode(for: error)
            if !message.isEmpty {
                let channel = code.isSuccess ? FileHandle.standardOutput : FileHandle.standardError
                channel.write(Data("\(message)\n".utf8))
            }
            await telemetry.end()
            InterruptHandler.end(code.rawValue)
        }
    }
}
