"""The table of services. A further one is a module here with a subclass of Service, and a row below."""
from .cloudwatch import CloudWatch
from .collector import Collector
from .keys import Container, Metadata
from .logs import Logs
from .oam import Oam
from .organizations import Organizations
from .remote_write import Prometheus, Workspaces
from .s3 import S3
from .sts import Sts
from .xray import Xray

TABLE = (Metadata, Container, Oam, Xray, Collector, S3, CloudWatch, Logs, Organizations, Sts, Workspaces, Prometheus)
