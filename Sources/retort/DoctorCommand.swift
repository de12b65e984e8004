import ArgumentParser
import Foundation
import RetortCore
import RetortPython

/// `retort doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Show what shuts model-written programs in on this machine, and try it.",
        discussion: """
            Each layer is looked at from outside, and hostile programs are run to see it hold. The exit code is 1 when \
            one gets through or the sandbox is weaker than --require-sandbox.
            """)

    @OptionGroup var sandbox: SandboxOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let python = try await PythonInterpreter(requiring: .none)
        let report = try await python.inspect()
        if json {
            print(String(decoding: try JSONCoding.prettyEncoder.encode(report), as: UTF8.self))
        } else {
            show(report)
        }
        guard report.isSound, report.level >= sandbox.required else { throw ExitCode.failure }
    }

    private func show(_ report: SandboxReport) {
        print("Sandbox: \(report.level.rawValue)" + (report.shortfall.map { " (\($0))" } ?? "") + "\n\nLayers")
        for line in report.layers { show(line, as: line.holds ? "on " : "off") }
        print("\nA program that …")
        for line in report.trials { show(line, as: line.holds ? "is stopped" : "GETS THROUGH") }
    }

    private func show(_ line: SandboxReport.Line, as state: String) {
        print("  \(state)  \(line.name)" + (line.detail.isEmpty ? "" : "  \u{2014} \(line.detail)"))
    }
}
