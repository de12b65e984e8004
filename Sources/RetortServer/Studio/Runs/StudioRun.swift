import Foundation
import RetortRecipes
import RetortStore
import Synchronization

/// A folder with a store of trajectories and, if it is a run's, the record of the run. It is only read, except for
/// labels.
final class StudioRun: Sendable {
    /// The run's name in addresses.
    let name: String
    let folder: URL
    private let opening = Mutex<Opening>(.closed)

    /// The choices that lists offer to filter by, by set, with the time when they were collected.
    private let facets = Mutex<[String: (facets: TrajectoryFacets, time: ContinuousClock.Instant)]>([:])
    private static let facetSeconds = 10.0

    private enum Opening {
        case closed
        case open(TrajectoryStore)
        /// A store of an older version is being brought up to date.
        case renewing
        case failed(StoreError)
    }

    static let storeName = "trajectories.sqlite"

    init(name: String, folder: URL) {
        self.name = name
        self.folder = folder
    }

    private var storeFile: URL { folder.appendingPathComponent(Self.storeName) }

    /// The run's trajectories, for reading. A store of an older version is brought up to date first, unless a run
    /// works in it; requests do not wait for that.
    /// - Throws: `StoreError`; `APIError` while the store is being brought up to date.
    func store() throws -> TrajectoryStore {
        switch opening.withLock({ $0 }) {
        case .open(let store): return store
        case .failed(let error):
            opening.withLock { $0 = .closed }
            throw error
        case .renewing: throw Self.isRenewed
        case .closed: break
        }
        do {
            let store = try TrajectoryStore(storeFile, .readOnly)
            opening.withLock { $0 = .open(store) }
            return store
        } catch StoreError.older(_) {
            guard !RunFolder.isInUse(folder) else { throw Self.isMade }
            renew()
            throw Self.isRenewed
        }
    }

    private static let isMade = APIError.overloaded(
        "the store is being made, or is of an older version and a run works in it; look again in a moment",
        retryAfter: 2)
    private static let isRenewed = APIError.overloaded(
        "this store is of an older version, and is made ready for searching; look again in a moment", retryAfter: 5)

    /// Brings the store up to date on a thread of its own, since a large one takes a while.
    private func renew() {
        let isFirst = opening.withLock { opening in
            if case .closed = opening {
                opening = .renewing
                return true
            }
            return false
        }
        guard isFirst else { return }
        Thread.detachNewThread { [self] in
            do {
                _ = try TrajectoryStore(storeFile, .existing)
                opening.withLock { $0 = .closed }
            } catch {
                let told = error as? StoreError ?? .unavailable(file: storeFile.path, reason: "\(error)")
                opening.withLock { $0 = .failed(told) }
            }
        }
    }

    /// The values that the trajectories of a set can be filtered by, up to a few seconds old: collecting them takes a
    /// while in a large set.
    /// - Throws: `StoreError`.
    func facets(of set: String) async throws -> TrajectoryFacets {
        if let known = facets.withLock({ $0[set] }), known.time.duration(to: .now) < .seconds(Self.facetSeconds) {
            return known.facets
        }
        let found = try await store().facets(of: set)
        facets.withLock { $0[set] = (found, .now) }
        return found
    }

    /// Labels a trajectory by hand; nil removes the label.
    /// - Throws: `StoreError`.
    func label(_ label: TrajectoryLabel?, id: String, in set: String) async throws {
        try await TrajectoryStore(storeFile, .existing).label(label, id: id, in: set)
        facets.withLock { $0[set] = nil }
    }

    /// The record of the run; nil for a store alone.
    /// - Throws: `RunError.damaged`.
    func manifest() throws -> Manifest? {
        guard FileManager.default.fileExists(atPath: folder.appendingPathComponent("manifest.json").path) else {
            return nil
        }
        return try Manifest(folder: folder)
    }

    var isInUse: Bool { RunFolder.isInUse(folder) }

    /// When something was last written to the folder.
    var changed: Date {
        [Self.storeName, Self.storeName + "-wal", "manifest.json"].compactMap { name in
            let path = folder.appendingPathComponent(name).path
            return (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
        }.max() ?? .distantPast
    }
}

/// The runs of a studio: those named, and those in named folders, including new ones.
final class StudioRuns: Sendable {
    private let roots: [URL]
    private let known = Mutex<[StudioRun]>([])
    /// The most runs that are listed.
    private static let most = 500

    init(_ roots: [URL]) { self.roots = roots.map(\.standardizedFileURL) }

    /// All runs that are there now.
    var all: [StudioRun] {
        let folders = roots.flatMap { root -> [URL] in
            if Self.isRun(root) { return [root] }
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
            return names.filter { !$0.hasPrefix(".") }.sorted().map(root.appendingPathComponent).filter(Self.isRun)
        }
        return known.withLock { known in
            for folder in folders.prefix(Self.most)
            where !known.contains(where: { $0.folder.path == folder.path }) {
                known.append(StudioRun(name: Self.name(folder, besides: known), folder: folder))
            }
            let paths = Set(folders.map(\.path))
            return known.filter { paths.contains($0.folder.path) }
        }
    }

    /// - Throws: `APIError` for a run that is not there.
    func run(_ name: String) throws(APIError) -> StudioRun {
        guard let run = all.first(where: { $0.name == name }) else {
            throw APIError(status: .notFound, code: "not_found", message: "there is no run '\(name)' here")
        }
        return run
    }

    private static func isRun(_ url: URL) -> Bool {
        FileManager.default.fileExists(atPath: url.appendingPathComponent(StudioRun.storeName).path)
    }

    /// The folder's name, in characters that need no escaping in an address.
    private static func name(_ folder: URL, besides others: [StudioRun]) -> String {
        let letters = folder.lastPathComponent.map { character -> Character in
            character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
                ? character : "-"
        }
        let plain = letters.allSatisfy { $0 == "." } ? "run" : String(letters)
        var (name, number) = (plain, 2)
        while others.contains(where: { $0.name == name }) { (name, number) = ("\(plain)-\(number)", number + 1) }
        return name
    }
}
