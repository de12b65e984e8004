import ArgumentParser
import Foundation
import RetortCore
import RetortLLM

/// `retort export`
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a checkpoint for other engines, an adapter merged into its base.",
        discussion: """
              retort export runs/quickstart/checkpoints/3m/agent --out agent.gguf --precision q8_0
              retort export runs/quickstart/checkpoints/3m/agent --out agent-merged
              retort export runs/demo/checkpoints/smollm2-135m/agent --adapter --out agent-lora.gguf

            A name that ends in .gguf makes one file for llama.cpp, any other name a Hugging Face folder. What \
            llama.cpp cannot compute is refused before anything is written, and remaining differences are reported. A \
            golden fixture is written with it, texts and a prompt with their tokens, scores and a greedy continuation; \
            Tools/verify_export.py asks llama.cpp or transformers for the same.

            --adapter writes the adapter alone, for llama.cpp's --lora over a GGUF file of its base, exported or as \
            published; several, such as a planner, a caller and a summarizer, can share one base there.
            """)

    @Argument(help: "A checkpoint's or an adapter's folder, a GGUF file, or a model's name.") var folder: String
    @Option(help: "The file or folder to write.") var out: String
    @Option(help: "f32, f16, bf16 or q8_0 (GGUF only).") var precision: GGUFExport.Precision = .bf16
    @Flag(help: "Write the adapter alone, as a GGUF file for llama.cpp's --lora.") var adapter = false

    func validate() throws {
        guard !adapter || out.hasSuffix(".gguf") else {
            throw ValidationError("--adapter writes a GGUF file; end the name in .gguf")
        }
    }

    func run() async throws {
        let checkpoint = try Checkpoint(folder: try await NamedModel.place(folder))
        if adapter { return try exportAdapter(checkpoint) }
        let network = try checkpoint.network()
        let target = URL(fileURLWithPath: out)
        try refuseOccupied(target, source: checkpoint.folder)
        var golden = target.appendingPathComponent("golden.json")
        if target.pathExtension == "gguf" {
            let name = target.deletingPathExtension().lastPathComponent
            let remarks = try GGUFExport.write(
                network, of: checkpoint, name: name, precision: precision, to: target)
            for remark in remarks { FileHandle.standardError.write(Data("note: \(remark)\n".utf8)) }
            golden = target.deletingPathExtension().appendingPathExtension("golden.json")
        } else {
            guard let dtype = precision.dtype else {
                throw ValidationError(
                    "\(precision.rawValue) is for GGUF files; end the name in .gguf, or take f16 or bf16")
            }
            try FolderExport(checkpoint, network).write(dtype: dtype, to: target)
        }
        let fixture = try GoldenFixture(checkpoint, network)
        try AtomicFile.write(JSONCoding.prettyEncoder.encode(fixture), to: golden)
        print("\(target.path)\n\(golden.path)")
    }

    /// Refuses a target that is the source, or a folder with other files than those of an earlier export.
    private func refuseOccupied(_ target: URL, source: URL) throws {
        let (path, files) = (target.standardizedFileURL.resolvingSymlinksInPath().path, FileManager.default)
        guard path != source.standardizedFileURL.resolvingSymlinksInPath().path else {
            throw ValidationError("--out names the model itself, which would be overwritten; name another place")
        }
        var isFolder: ObjCBool = false
        guard files.fileExists(atPath: path, isDirectory: &isFolder) else { return }
        if target.pathExtension == "gguf" {
            if isFolder.boolValue { throw ValidationError("\(out) is a folder; name a file") }
            return
        }
        guard isFolder.boolValue else {
            throw ValidationError("\(out) is a file; name a folder, or end the name in .gguf")
        }
        let names = try files.contentsOfDirectory(atPath: path)
        guard names.isEmpty || names.contains("golden.json") else {
            throw ValidationError("\(out) holds other files, which could be overwritten; name a new folder")
        }
    }

    private func exportAdapter(_ checkpoint: Checkpoint) throws {
        let target = URL(fileURLWithPath: out)
        try refuseOccupied(target, source: checkpoint.folder)
        try GGUFAdapterExport.write(
            checkpoint, name: target.deletingPathExtension().lastPathComponent, precision: precision, to: target)
        print("\(target.path)\nits base is \(checkpoint.folder.path)")
    }
}

extension GGUFExport.Precision: ExpressibleByArgument {}
