import ArgumentParser
import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortPython
import RetortTensor
import RetortTraining

/// `retort doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Show how programs are confined on this machine, or how a checkpoint renders a chat.",
        discussion: """
            Without a checkpoint: each layer of the sandbox is inspected from outside, and hostile programs are run \
            against it. The exit code is 1 when one gets through, or the sandbox is weaker than --require-sandbox. \
            Then the engine: whether a GPU is found, whether the kernels that need it pass a trial, and which kernels \
            multiply weights on the CPU.

            With a checkpoint's folder or GGUF file: a sample trajectory is shown token by token, each with its role \
            and with ● where the student learns, and it is checked that training, acting and serving see the same \
            tokens. The exit code is 1 when they do not. Finally, the memory of its weights in each precision, the \
            kernels that would multiply them here, and the memory of a token in the cache; and whether a GPU's fused \
            attention supports this model.

              retort doctor
              retort doctor seedlings/3m
              retort doctor model.gguf
            """)

    @Argument(help: "A checkpoint's folder or GGUF file.") var checkpoint: String?
    @OptionGroup var sandbox: SandboxOptions
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        if let checkpoint {
            try examine(await NamedModel.place(checkpoint))
        } else {
            try await examineSandbox()
        }
    }

    private func examineSandbox() async throws {
        let python = try await PythonInterpreter(requiring: .none)
        let report = try await python.inspect()
        let engine = EngineReport.inspect()
        if json {
            try printJSON(Machine(sandbox: report, engine: engine))
        } else {
            print("Sandbox: \(report.level.rawValue)" + (report.shortfall.map { " (\($0))" } ?? "") + "\n\nLayers")
            for line in report.layers { show(line.name, line.detail, as: line.holds ? "on " : "off") }
            print("\nA program that …")
            for line in report.trials { show(line.name, line.detail, as: line.holds ? "is stopped" : "GETS THROUGH") }
            print("\nEngine: libtorch \(engine.libtorch), \(engine.threads) threads")
            for part in engine.parts { show(part.name, part.detail, as: part.holds ? "on " : "off") }
            print("\nWeights on the CPU")
            for precision in WeightPrecision.allCases {
                show(precision.rawValue, precision.kernels, as: precision == .usual(on: .cpu) ? "usual" : "     ")
            }
        }
        guard report.isSound, report.level >= sandbox.required else { throw ExitCode.failure }
    }

    private func examine(_ folder: URL) throws {
        let checkpoint = try Checkpoint(folder: folder)
        let marker = checkpoint.tokenizer.token(checkpoint.template.endOfTurn) ?? ""
        let audit = try TemplateAudit(
            TemplateAudit.sample(marker: marker), view: CodeAgentView(instructions: .full, tools: []),
            template: checkpoint.template, tokenizer: checkpoint.tokenizer)
        if json {
            try printJSON(audit.rows)
        } else {
            for row in audit.rows {
                let text = row.text.replacing("\n", with: "\\n")
                print("\(row.trainable ? "●" : " ") \(row.role.rawValue)\t\(row.id)\t\(text)")
            }
            print("")
            for finding in audit.findings { show(finding.name, finding.detail, as: finding.holds ? "holds" : "FAILS") }
            print("\nIn memory")
            for line in try PrecisionReport(checkpoint).lines {
                let size = String(
                    format: "%.1f MB of weights, %d bytes of cache a token", Double(line.bytes) / 1e6, line.cacheBytes)
                show(line.weights.rawValue, "\(size); \(line.kernels)", as: line.isUsual ? "usual" : "     ")
            }
            let refusal = FusedAttention.refusal(checkpoint.configuration, dtype: .bfloat16, device: .cuda)
            show(
                "attention over packed rows on CUDA", refusal.map { "\($0)" } ?? "",
                as: refusal == nil ? "fused" : "plain")
        }
        guard audit.isSound else { throw ExitCode.failure }
    }

    private func printJSON(_ value: some Encodable) throws {
        print(String(decoding: try JSONCoding.prettyEncoder.encode(value), as: UTF8.self))
    }

    private func show(_ name: String, _ detail: String, as state: String) {
        print("  \(state)  \(name)" + (detail.isEmpty ? "" : "  \u{2014} \(detail)"))
    }
}

/// The sandbox's report, with the engine's report as a further member.
private struct Machine: Encodable {
    let sandbox: SandboxReport
    let engine: EngineReport

    private enum CodingKeys: CodingKey { case engine }

    func encode(to encoder: any Encoder) throws {
        try sandbox.encode(to: encoder)
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(engine, forKey: .engine)
    }
}
