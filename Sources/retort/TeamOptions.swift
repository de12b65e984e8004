import ArgumentParser
import Foundation
import RetortCore
import RetortTensor
import RetortTraining

/// How a command trains with other processes that were started with it.
struct TeamOptions: ParsableArguments {
    @Flag(help: "Train in this process alone, whatever the variables of torchrun, Open MPI or Slurm say.")
    var alone = false

    @Option(
        name: .customLong("peer-timeout"),
        help: ArgumentHelp("How long the processes of a training wait for each other.", valueName: "seconds"))
    var seconds = 300.0

    func validate() throws {
        guard seconds >= 1, seconds <= 864_000 else {
            throw ValidationError("--peer-timeout takes 1 to 864000 seconds")
        }
    }

    /// Does a command's work. Where this process is one of several, rank 0 does it, and the others take part in its trainings.
    /// - Parameter sharesRollouts: the run has workers, who may have been started by the same Slurm or Open MPI; then only torchrun's
    ///   variables make processes train together.
    func working(sharesRollouts: Bool = false, _ work: @escaping @Sendable () async throws -> Void) async throws {
        let environment = ProcessInfo.processInfo.environment
        guard !alone, let place = try TeamPlace(environment),
            !sharesRollouts || place.launcher == .torchrun
        else { return try await work() }
        let program = "retort \(Retort.version), libtorch \(Engine.version), '\(arguments)'"
        let member = TeamMember()
        let team = try await member.join(
            place, program: program, seconds: seconds, interface: environment["GLOO_SOCKET_IFNAME"])
        team.takeShareOfMachine()
        guard team.rank == 0 else { return try await member.serve(team) }
        FileHandle.standardError.write(Data("trainings are divided among \(team.size) processes\n".utf8))
        try await team.leading(work)
    }

    private var arguments: String { CommandLine.arguments.dropFirst().joined(separator: " ") }
}
