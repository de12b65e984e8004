import Foundation
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortStore
import Synchronization

/// A file or folder that a run needs, with its files by content.
struct FleetRoot: Codable, Sendable, Hashable {
    struct File: Codable, Sendable, Hashable {
        /// The path below the root; empty when the root is the file itself.
        var name: String
        /// The SHA-256.
        var digest: String
    }

    /// Where it is on the planner's machine.
    var path: String
    /// Its path below the run's folder; nil when it is elsewhere.
    var inRun: String?
    var files: [File]

    /// Whether its files are where it says, and below it: a worker writes received files only into its own folder.
    fileprivate var isInPlace: Bool {
        let names = [path, inRun ?? ""] + files.map(\.name)
        return path.hasPrefix("/") && inRun?.hasPrefix("/") != true
            && !names.contains { $0.split(separator: "/").contains("..") }
    }

    /// The place of one of its files, when the root is at `path`.
    func place(of file: File, at path: String? = nil) -> URL {
        let root = URL(fileURLWithPath: path ?? self.path)
        return file.name.isEmpty ? root : root.appendingPathComponent(file.name)
    }
}

/// The files that a planner announces to its workers, and sends to those that lack them.
final class FleetFiles: Sendable {
    private let folder: URL
    private let digests: FileDigests
    /// The files that may be sent, by digest.
    private let known = Mutex<[String: URL]>([:])

    /// - Parameter folder: the run's folder.
    init(folder: URL, digests: FileDigests) { (self.folder, self.digests) = (folder, digests) }

    /// Files that a recipe names, or trained models, each with its content.
    func roots(_ places: [URL]) throws -> String {
        String(decoding: try ExactJSON.encode(places.map(root)), as: UTF8.self)
    }

    private func root(_ place: URL) throws -> FleetRoot {
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder)
        guard isThere else { throw RunError.unreadable(place.path, "it is not there") }
        let names = isFolder.boolValue ? try FileDigests.modelFiles(place) : [""]
        let files = try names.map { name in
            let file = name.isEmpty ? place : place.appendingPathComponent(name)
            let digest = try digests.file(file)
            known.withLock { $0[digest] = file }
            return FleetRoot.File(name: name, digest: digest)
        }
        let (path, run) = (place.standardizedFileURL.path, folder.standardizedFileURL.path + "/")
        return FleetRoot(
            path: path, inRun: path.hasPrefix(run) ? String(path.dropFirst(run.count)) : nil, files: files)
    }

    /// Sends requested files until it is cancelled. Only announced files are sent.
    func serve<Value>(_ store: FleetStore, _ run: String) async throws -> Value? {
        while true {
            for (digest, path) in try await store.wanted(in: run) {
                guard let file = known.withLock({ $0[digest] }) else {
                    try await store.refuse(digest, because: "the run has no file \(path) with this content", in: run)
                    continue
                }
                do {
                    try await store.send(file, as: digest, in: run)
                } catch let error as FleetError {
                    throw error
                } catch {
                    if error is CancellationError { throw error }
                    try await store.refuse(digest, because: "\(error)", in: run)
                }
            }
            try await Task.sleep(for: .seconds(1))
        }
    }
}

/// A worker's side: brings announced files to this machine, or finds them by path when they are already there.
struct FleetFetch: Sendable {
    let store: FleetStore
    let run: String
    /// Where fetched files are kept.
    let folder: URL
    let digests: FileDigests

    /// The longest time without any arrival of a file, in seconds.
    private static let patience = 300.0

    static func roots(_ text: String, _ store: FleetStore) throws -> [FleetRoot] {
        let roots: [FleetRoot]
        do {
            roots = try ExactJSON.decode([FleetRoot].self, from: text.utf8)
        } catch {
            throw FleetError.unreadable(store: store.name, what: "the list of files", reason: "\(error)")
        }
        for root in roots where !root.isInPlace {
            throw FleetError.unreadable(
                store: store.name, what: "the list of files", reason: "'\(root.path)' leads elsewhere")
        }
        return roots
    }

    /// A recipe whose files are on this machine: unchanged if all of them are at their paths, otherwise with paths
    /// below `folder`.
    func recipe(_ text: String, roots: [FleetRoot]) async throws -> Recipe {
        let value: JSONValue
        do {
            value = try ExactJSON.value(of: text)
        } catch {
            throw FleetError.unreadable(store: store.name, what: "the recipe", reason: "\(error)")
        }
        let areHere = roots.allSatisfy { root in root.files.allSatisfy { isHere(root.place(of: $0), $0.digest) } }
        do {
            if areHere { return try ExactJSON.decode(Recipe.self, from: value) }
            for root in roots {
                for file in root.files {
                    let place = root.place(of: file)
                    try await bring(file.digest, from: place.path, to: mirrored(place.path))
                }
            }
            return try ExactJSON.decode(Recipe.self, from: moved(value, roots.map(\.path)))
        } catch let error as DecodingError {
            throw FleetError.unreadable(store: store.name, what: "the recipe", reason: "\(error)")
        }
    }

    private func mirrored(_ path: String) -> URL { URL(fileURLWithPath: folder.path + path) }

    /// The value with every absolute path of the files, or of a folder that contains some, moved below `folder`.
    private func moved(_ value: JSONValue, _ paths: [String]) -> JSONValue {
        switch value {
        case .string(let text):
            guard text.hasPrefix("/"), text.count > 1 else { return value }
            let path = URL(fileURLWithPath: text).standardizedFileURL.path
            let isMoved = paths.contains { $0 == path || $0.hasPrefix(path + "/") || path.hasPrefix($0 + "/") }
            return isMoved ? .string(mirrored(path).path) : value
        case .array(let elements): return .array(elements.map { moved($0, paths) })
        case .object(let members): return .object(members.mapValues { moved($0, paths) })
        case .null, .bool, .integer, .number: return value
        }
    }

    /// Brings trained models into a worker's run folder. Models outside the planner's folder are named by the recipe.
    func models(_ roots: [FleetRoot], into run: URL) async throws {
        for root in roots {
            guard let inside = root.inRun else { continue }
            for file in root.files {
                let target = root.place(of: file, at: run.appendingPathComponent(inside).path)
                try await bring(file.digest, from: root.place(of: file).path, to: target)
            }
        }
    }

    private func isHere(_ file: URL, _ digest: String) -> Bool {
        guard FileManager.default.fileExists(atPath: file.path) else { return false }
        return (try? digests.file(file)) == digest
    }

    /// Puts a file in its place: it is there already, is copied from the planner's path, or is sent.
    private func bring(_ digest: String, from path: String, to target: URL) async throws {
        guard !isHere(target, digest) else { return }
        let files = FileManager.default
        try files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        if isHere(URL(fileURLWithPath: path), digest) {
            let beside = target.appendingPathExtension("part")
            try? files.removeItem(at: beside)
            // A hard link is cheap; another file system, or another owner's file, needs a copy.
            do {
                try files.linkItem(atPath: path, toPath: beside.path)
            } catch {
                try files.copyItem(atPath: path, toPath: beside.path)
            }
            return try Self.rename(beside, target)
        }
        try await fetch(digest, called: path, to: target)
        guard isHere(target, digest) else {
            throw FleetError.unreadable(
                store: store.name, what: "the file \(path)", reason: "it arrived with another content")
        }
    }

    private func fetch(_ digest: String, called path: String, to target: URL) async throws {
        try await store.want(digest, path: path, in: run)
        try await waitFor(digest, called: path)
        let beside = target.appendingPathExtension("part")
        guard FileManager.default.createFile(atPath: beside.path, contents: nil) else {
            throw RunError.cannotWrite(beside.path, "it cannot be made")
        }
        let handle = try FileHandle(forWritingTo: beside)
        defer { try? handle.close() }
        var part = 0
        while let piece = try await store.piece(part, of: digest, in: run) {
            try handle.write(contentsOf: piece)
            part += 1
        }
        try handle.synchronize()
        try Self.rename(beside, target)
    }

    private static func rename(_ file: URL, _ target: URL) throws {
        guard Foundation.rename(file.path, target.path) == 0 else {
            throw RunError.cannotWrite(target.path, String(cString: strerror(errno)))
        }
    }

    private func waitFor(_ digest: String, called path: String) async throws {
        let progress = ProgressLine("worker")
        var (seen, since, isTold) = (-1, ContinuousClock.now, false)
        while true {
            switch try await store.arrival(of: digest, in: run) {
            case .there: return
            case .refused(let reason): throw RunError.unreadable(path, reason)
            case .underWay(let pieces):
                if pieces != seen { (seen, since) = (pieces, .now) }
                guard since.duration(to: .now) < .seconds(Self.patience) else {
                    throw FleetError.idle(seconds: Self.patience, what: "nothing of \(path) came from the planner")
                }
                if !isTold { progress.note("waits for the planner to send \(path), which is not here") }
                isTold = true
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }
}

extension RunContext {
    /// The files that the recipe names: the domain's files, bases, teachers, tapes and benchmarks. What is derived from
    /// them in the run's folder each worker makes itself.
    func namedFiles() throws -> [URL] {
        var places = try domainFiles()
        for plan in [recipe.teacher, recipe.judge?.access].compactMap({ $0 }) {
            places += plan.folder.map { [URL(fileURLWithPath: $0)] } ?? []
            if plan.operation == .completions, let template = plan.template {
                places.append(URL(fileURLWithPath: template))
            }
            if let tape = plan.cassette, tape.mode == .replay { places.append(URL(fileURLWithPath: tape.file)) }
        }
        places += recipe.students.map { URL(fileURLWithPath: $0.base) }
        if let recorded = recipe.recorded {
            for place in [recorded.file, recorded.reasoning].compactMap({ $0.map(URL.init(fileURLWithPath:)) }) {
                places += place.isFolder ? try RecordedTrajectories.files(in: place) : [place]
            }
        }
        if let plan = recipe.benchmarks {
            let folder = URL(fileURLWithPath: plan.folder)
            places += try plan.names.map { folder.appendingPathComponent(try Benchmark.named($0).file) }
        }
        let run = folder.url.standardizedFileURL.path + "/"
        // A missing file is an error of the stage that needs it.
        let named = Set(places.map(\.standardizedFileURL)).filter {
            !$0.path.hasPrefix(run) && FileManager.default.fileExists(atPath: $0.path)
        }
        return try named.flatMap { CheckpointSource.isGGUF($0) ? try CheckpointSource.files(ofGGUF: $0) : [$0] }
            .sorted { $0.path < $1.path }
    }

    private func domainFiles() throws -> [URL] {
        var places: [URL] = []
        for part in [DomainPart.train, .validation, .tests, .tools, .grading, .otherGrading] {
            _ = try source.domain.content(of: part) { url in
                places.append(url)
                return try digests.file(url)
            }
        }
        if case .folder(let plan) = recipe.domain { places += try plan.documentFiles() }
        return places
    }
}

extension Recipe {
    /// The same recipe with absolute paths, because another process has another working directory.
    func withWholePaths() -> Recipe {
        var recipe = self
        func whole(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
        func whole(_ plan: TeacherPlan) -> TeacherPlan {
            var plan = plan
            plan.folder = plan.folder.map(whole)
            plan.template = plan.template.map(whole)
            if let tape = plan.cassette { plan.cassette?.file = whole(tape.file) }
            for index in plan.endpoints.indices {
                plan.endpoints[index].keyFile = plan.endpoints[index].keyFile.map(whole)
            }
            return plan
        }
        recipe.teacher = teacher.map(whole)
        if let judge { recipe.judge?.access = whole(judge.access) }
        if let recorded {
            recipe.recorded?.file = whole(recorded.file)
            recipe.recorded?.reasoning = recorded.reasoning.map(whole)
        }
        for index in students.indices { recipe.students[index].base = whole(students[index].base) }
        if let benchmarks { recipe.benchmarks?.folder = whole(benchmarks.folder) }
        if case .folder(var plan) = domain {
            plan.folder = whole(plan.folder)
            recipe.domain = .folder(plan)
        }
        return recipe
    }
}
