import RetortCore

extension HostTools {
    /// Opens all of a domain's services. If one cannot be opened, the others are closed again.
    /// - Throws: `DomainError`, `MCPError`, `PythonError.badModule`, `ToolServiceError`.
    static func opened(_ plan: DomainPlan) async throws -> HostTools {
        var services: [ToolService] = []
        var shared: [Int: any RunningTools] = [:]
        func add(_ opened: (service: ToolService, running: (any RunningTools)?)) {
            if let running = opened.running { shared[services.count] = running }
            services.append(opened.service)
        }
        do {
            for tools in plan.python where tools.place == .host { add(try await plan.hostService(tools)) }
            for server in plan.servers { add(try await plan.service(server)) }
        } catch {
            for running in shared.values { await running.close() }
            throw error
        }
        return HostTools(services, shared: shared)
    }
}
